"""Zeros of an operand, in runs, and the code that makes runs short: beside a coder that writes each pair."""

import numpy as np
import pytest

from addersim.zeros import RUN_BITS, Zeros, count_zeros, summed_zeros

RANDOM = np.random.default_rng(7)


def coded(words, run_bits):
    """Pairs of a run and the word behind it, of one image; a run that the end cuts off gives its last zero as the word."""
    pairs, run = [], 0
    for word in words:
        if word == 0 and run < 2**run_bits - 1:
            run += 1
        else:
            pairs.append((run, word))
            run = 0
    return [*pairs, (run - 1, 0)] if run else pairs


def decoded(pairs):
    return [one for run, word in pairs for one in (*[0] * run, word)]


def values(share, *shape, dtype=np.int16):
    return np.where(RANDOM.random(shape) < share, 0, RANDOM.integers(1, 100, shape)).astype(dtype)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.99, 0.999, 1.0])
@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (2, 8), (2, 63), (2, 64), (2, 65), (3, 8, 8, 5), (1, 3000)])
@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int32])
def test_zeros_runs_and_pairs_are_those_of_a_coder(share, shape, dtype):
    codes = values(share, *shape, dtype=dtype)
    found = count_zeros(codes)
    rows = codes.reshape(len(codes), -1)
    starts = sum(word == 0 and (place == 0 or row[place - 1] != 0) for row in rows for place, word in enumerate(row))
    assert found[:3] == (rows.size, np.count_nonzero(rows == 0), starts)
    for run_bits, pairs in zip(RUN_BITS, found.pairs, strict=True):
        written = [coded(row, run_bits) for row in rows]
        assert [decoded(one) for one in written] == rows.tolist()
        assert max(run for one in written for run, _ in one) < 2**run_bits
        assert pairs == sum(map(len, written))
        assert found.pairs_per_word(run_bits) == pairs / rows.size


def test_runs_at_the_edges_of_bytes_and_images():
    """One run of every length at every place of a byte, and images that end and begin with zeros, which are not one run."""
    for length in range(140):
        for before in range(9):
            row = [1] * before + [0] * length + [1]
            assert count_zeros(np.array([row])).pairs == tuple(len(coded(row, bits)) for bits in RUN_BITS), (length, before)
    for length in range(1, 70):
        images = np.zeros((3, length), np.int8)
        assert count_zeros(images).runs == 3
        assert count_zeros(images).pairs == tuple(3 * len(coded(images[0], bits)) for bits in RUN_BITS)


def test_several_batches_add_up():
    codes = values(0.9, 6, 40, 11)
    assert summed_zeros([count_zeros(codes[:1]), count_zeros(codes[1:4]), count_zeros(codes[4:])]) == count_zeros(codes)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.9, 0.98, 1.0])
@pytest.mark.parametrize("run_bits", RUN_BITS)
def test_pairs_that_are_not_known_are_expected_as_if_zeros_came_by_chance(share, run_bits):
    seen = count_zeros(values(share, 1, 400_000))
    expected = Zeros(1000, round(1000 * share), 0)
    assert expected.pairs_per_word(run_bits) == pytest.approx(seen.pairs_per_word(run_bits), rel=0.03, abs=2e-5)
