"""Chains of layers on few images at a time give what layers give one after the other on all of them."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest

from addersim import Accumulator, Quantization, quantize, simulate
from addersim.arithmetic.fixed import FixedFormat
from addersim.kernels import chains, kernel_info, prepare_window, prepare_window_affine, zero_runs
from addersim.kernels.chains import Chain, ChainStep, ChainValue, place_lives, window_link
from addersim.layers import IntegerRescaledAdd, Value
from tests.unit.networks import branches, deep, images, residual, signed, uneven

NETWORKS = {
    "residual l1": residual(),
    "residual mac": residual(arithmetic="mac"),
    "residual l2": residual(arithmetic="l2"),
    "signed": signed(),
    "uneven": uneven(),
    "branches": branches(),
    "deep": deep(12),
}
HOW = {
    "8 bits": Quantization(),
    "zero points": Quantization(zero_points=True),
    "narrow registers": Quantization(accumulator=Accumulator(12, "saturate")),
    "4 bits": Quantization(weight_bits=4, activation_bits=4),
}


def program_of(name, how, rule=None):
    network = NETWORKS[name]
    pixels = images(network)
    made = quantize(network, pixels, HOW[how])
    return (made if rule is None else made.with_rounding(rule)), pixels


def lengths(program):
    return [len(part.steps) for part in program.prepared(stream=True).parts if part.chain]


CASES = [(name, how, None) for name in NETWORKS for how in ("8 bits", "4 bits")]
CASES += [(name, "zero points", rule) for name in ("residual mac", "branches") for rule in ("tflite", "tosa-double", "ort")]
CASES += [("residual l1", "narrow registers", None), ("residual mac", "narrow registers", None)]


@pytest.mark.parametrize(("name", "how", "rule"), CASES)
def test_chains_see_and_give_what_layers_do(name, how, rule, monkeypatch):
    monkeypatch.setattr(chains, "MOST_TOGETHER", 3)  # 24 images in several parts, the last of them smaller
    program, pixels = program_of(name, how, rule)
    apart = simulate(program, pixels, threads=2)  # too few images for two threads: no chain runs
    for batch in (24, 10):
        found = simulate(program, pixels, threads=1, batch=batch)
        assert found.to_dict() == apart.to_dict()
        assert found.trace == apart.trace
        np.testing.assert_array_equal(found.predictions, apart.predictions)


SUM_FORMAT = FixedFormat(8, False, 0.5, zero_point=100)


@pytest.mark.parametrize("otherwise", ["subtract", "as_unsigned"])
def test_sums_that_the_step_does_not_compute_are_not_in_chains(otherwise):
    def link(**fields):
        layer = IntegerRescaledAdd(
            name="sum",
            twin="sum",
            inputs=("a", "b"),
            first=SUM_FORMAT,
            second=SUM_FORMAT,
            rule="ort",
            output=SUM_FORMAT,
            **fields,
        )
        return layer.link(*(Value.of((2, 2, 3), SUM_FORMAT),) * 2)

    assert link() is not None
    assert link(**{otherwise: True}) is None


def test_layers_are_in_chains_as_long_as_they_can_be():
    assert lengths(program_of("residual l1", "8 bits")[0]) == [3, 2, 1]  # pools and moves between
    assert lengths(program_of("uneven", "8 bits")[0]) == [4, 1]


@pytest.mark.parametrize("chosen", kernel_info().available)
def test_chains_are_made_anew_for_each_set_of_instructions(chosen, monkeypatch):
    program, pixels = program_of("residual mac", "8 bits")
    expected = simulate(program, pixels, threads=1)
    monkeypatch.setenv("ADDERSIM_KERNELS", chosen)
    assert simulate(program, pixels, threads=1).to_dict() == expected.to_dict()


def test_batches_hold_what_lies_outside_of_chains(monkeypatch):
    monkeypatch.setattr("addersim.simulated_batches.FEW_WORDS", 1)
    program, pixels = program_of("residual l1", "8 bits")
    ready = program.prepared(stream=True)
    assert ready.held() == {"input", *(part.steps[-1].name for part in ready.parts)}
    done = []
    simulate(program, np.concatenate([pixels] * 50), threads=1, progress=done.append)
    assert done == [600, 1200]  # of at most 1000, about equal
    done.clear()
    simulate(program, np.concatenate([pixels] * 50), None, NETWORKS["residual l1"], threads=1, progress=done.append)
    assert len(done) == 12  # beside floats there are whole values


def test_only_one_thread_leaves_values_out():
    program, pixels = program_of("residual l1", "8 bits")
    ready = program.prepared(stream=True)
    given = [{name for name, run in ready.facts(pixels, threads) if run.values is not None} for threads in (1, 2)]
    assert given[0] == ready.held() < given[1] == {"input", *(step.name for step in ready.steps)}


def last_values(program, pixels):
    return [run.values for _, run in program.prepared(stream=True).facts(pixels, 1)][-1]


def test_threads_share_a_program_and_no_workspace(monkeypatch):
    monkeypatch.setattr(chains, "MOST_TOGETHER", 2)
    program, pixels = program_of("residual l1", "8 bits")
    parts = [pixels[place : place + 5] for place in range(20)] * 3
    expected = [last_values(program, part) for part in parts]
    copies = [one.copy() for one in expected]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda part: last_values(program, part), parts))
    for one, other, copy in zip(found, expected, copies, strict=True):
        np.testing.assert_array_equal(one, copy)
        np.testing.assert_array_equal(other, copy)  # what was returned is nobody's workspace
    for part in program.prepared(stream=True).parts:
        for plan in part.chain._plans.values() if part.chain else ():
            assert 1 <= len(plan.spare) <= 5  # as many as ran at a time


def test_values_that_live_at_a_time_lie_apart():
    random = np.random.default_rng(0)
    for _ in range(200):
        starts = np.sort(random.integers(0, 10, 8))
        lives = [(int(random.integers(1, 50)), int(start), int(start + random.integers(0, 5))) for start in starts]
        places, most = place_lives(lives)
        assert most == max(place + size for place, (size, *_) in zip(places, lives, strict=True))
        assert most <= sum(size for size, *_ in lives)
        for step in range(16):
            here = sorted((place, place + size) for place, (size, a, b) in zip(places, lives, strict=True) if a <= step <= b)
            assert all(before[1] <= after[0] for before, after in pairwise(here))


def test_values_of_a_long_line_take_as_much_as_two():
    assert place_lives([(100, step, step + 1) for step in range(10)])[1] == 200
    assert place_lives([]) == ([], 0)


def test_codes_of_other_types_are_refused():
    link = window_link(prepare_window("int8", np.ones((1, 1, 1, 2), np.int8), arithmetic="mac"))
    values = {"x": ChainValue((1, 1, 2), np.dtype("int8")), "y": ChainValue((1, 1, 1), link.output)}
    chain = Chain(values, (ChainStep("y", link, ("x",)),), frozenset({"y"}))
    with pytest.raises(ValueError, match="^x: uint8 is not an array of int8$"):
        chain({"x": np.zeros((3, 1, 1, 2), np.uint8)}, 3)


def test_a_chain_stores_what_a_relu_makes_and_counts_its_zero_point():
    weights, x = np.array([[[[3]]]], np.int8), np.arange(-60, 60, dtype=np.int8).reshape(4, 5, 6, 1)
    one, none = np.array([1], np.int32), np.array([0])
    how = {"output": FixedFormat(10), "then": FixedFormat(8, signed=False)}
    both = prepare_window_affine(prepare_window("int8", weights, arithmetic="mac"), one, none, np.array([0], np.uint8), **how)
    link = window_link(both)
    assert link.output == np.uint8
    values = {"x": ChainValue((5, 6, 1), x.dtype), "y": ChainValue((5, 6, 1), link.output, zero_point=6, counted=True)}
    found, expected = Chain(values, (ChainStep("y", link, ("x",)),), frozenset({"y"}))({"x": x}, 4), both(x)
    np.testing.assert_array_equal(found.values["y"], expected.values)
    assert link.seen(found.seen[0])[1] == (expected.minimum, expected.maximum, expected.overflowed)
    assert found.zeros["y"] == zero_runs(expected.values, 6) != zero_runs(expected.values, 0)


def test_windows_whose_codes_must_be_known_are_in_no_chain():
    wide = prepare_window("int16", np.full((1, 3, 3, 200), 30000, np.int16), arithmetic="l2")
    assert wide.values_matter
    assert window_link(wide) is None
    assert window_link(object()) is None
