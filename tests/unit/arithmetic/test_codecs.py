"""Codecs: values of few bits, the nearest of them, and the widths that hold and store them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from addersim.arithmetic.codecs import CODECS
from addersim.arithmetic.fixed import FixedFormat
from addersim.errors import FormatError

WIDTHS = [(codec, bits) for codec in CODECS.values() for bits in range(codec.fewest, min(codec.most, 8) + 1)]
each_width = pytest.mark.parametrize(("codec", "bits"), WIDTHS, ids=lambda one: getattr(one, "name", one))


def values(codec, bits):
    if codec.uniform:
        return np.arange(-(1 << (bits - 1)), 1 << (bits - 1))
    return np.unique([sign * level for level in codec.levels(bits) for sign in (-1, 1)])


@each_width
def test_a_stored_width_tells_its_values_apart_and_its_format_holds_them(codec, bits):
    found, held = values(codec, bits), codec.format(bits)
    assert len(found) <= 1 << bits
    assert held.minimum <= found.min() <= found.max() == codec.largest(bits) <= held.maximum
    assert codec.stored_bits(held) == bits
    assert np.array_equal(codec.nearest(found.astype(float), bits), found)


@given(st.sampled_from(WIDTHS), st.lists(st.floats(-300, 300), min_size=1, max_size=20))
def test_no_value_is_nearer_than_the_nearest(width, reals):
    codec, bits = width
    reals, allowed = np.array(reals), values(codec, bits)
    chosen = codec.nearest(reals, bits)
    assert set(chosen.tolist()) <= set(allowed.tolist())
    best = np.abs(reals[:, None] - allowed).min(axis=1)
    assert np.allclose(np.abs(chosen - reals), best)


def test_levels_are_those_of_their_papers():
    assert CODECS["power-of-two"].levels(4) == (0, 1, 2, 4, 8, 16, 32, 64)
    assert CODECS["ternary"].levels(2) == (0, 1)
    # APoT's released code, models/quant_layer.py: sums of one of {0, 1/2, 1/4, 1/16} and one of {0, 1/8}, in sixteenths
    assert CODECS["two-powers"].levels(4) == (0, 1, 2, 3, 4, 6, 8, 10)
    # {0, 2^-1, 2^-3, 2^-5} and {0, 2^-2, 2^-4, 2^-6}, in sixty-fourths
    assert CODECS["two-powers"].levels(5) == (0, 1, 2, 3, 4, 6, 8, 9, 12, 16, 18, 24, 32, 33, 36, 48)


def test_signs_have_no_zero():
    assert CODECS["sign"].nearest(np.array([-1e-9, 0.0, -0.0, 2.0]), 1).tolist() == [-1, 1, 1, 1]


def test_a_width_is_cut_to_what_there_is_and_refused_where_it_holds_too_little():
    assert CODECS["power-of-two"].bits(8, "layer a") == 5
    assert CODECS["sign"].bits(8, "layer a") == 1
    with pytest.raises(FormatError, match=r"^layer a: weight_bits 2; two-powers weights are stored in 3\.\.5 bits$"):
        CODECS["two-powers"].bits(2, "layer a")
    with pytest.raises(FormatError, match=r"^layer a: weight_bits 1; ternary weights are stored in 2 bits$"):
        CODECS["ternary"].bits(1, "layer a")


def test_of_two_values_as_near_the_smaller_is_taken():
    assert CODECS["power-of-two"].nearest(np.array([0.5, 1.5, -3.0, 6.0]), 4).tolist() == [0, 1, -2, 4]
    assert CODECS["uniform"].nearest(np.array([0.5, 1.5, -2.5]), 4).tolist() == [0, 2, -2]


@each_width
def test_each_width_may_be_asked_for(codec, bits):
    assert codec.bits(bits, "layer a") == bits


def test_values_are_held_with_a_sign():
    with pytest.raises(FormatError, match=r"^ternary weights in the format ufx2\.0; they are held in s2$"):
        CODECS["ternary"].stored_bits(FixedFormat(2, signed=False))
