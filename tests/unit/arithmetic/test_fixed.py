"""Formats, rounding and accumulators, against apytypes as an outside oracle."""

import apytypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from addersim.arithmetic.fixed import OVERFLOWS, ROUNDINGS, Accumulator, FixedFormat, bits_for, round_real, shift_right, wrap
from addersim.errors import FormatError

ORACLE_ROUNDING = {
    "half-even": apytypes.QuantizationMode.RND_CONV,
    "half-up": apytypes.QuantizationMode.RND,
    "truncate": apytypes.QuantizationMode.TRN,
}
ORACLE_OVERFLOW = {"saturate": apytypes.OverflowMode.SAT, "wrap": apytypes.OverflowMode.WRAP}


@given(
    st.lists(st.integers(-(2**20), 2**20 - 1), min_size=1, max_size=20),
    st.integers(2, 16),
    st.integers(0, 12),
    st.booleans(),
    st.sampled_from(ROUNDINGS),
    st.sampled_from(OVERFLOWS),
)
def test_encode_agrees_with_apytypes(numerators, bits, fraction, signed, rounding, overflow):
    """Values with 16 fraction bits into a narrower format, every rounding and overflow mode."""
    values = np.array(numerators) / 2.0**16
    found = FixedFormat(bits, signed, 2.0**-fraction).encode(values, rounding, overflow)
    wide = apytypes.fx(values, int_bits=8, frac_bits=16)
    if not signed:  # apytypes has no unsigned type: one more integer bit holds the same codes after its own clamp
        if overflow == "saturate":
            wide = apytypes.fx(np.maximum(values, 0.0), int_bits=8, frac_bits=16)
        exact = wide.cast(int_bits=24, frac_bits=fraction, quantization=ORACLE_ROUNDING[rounding]).to_numpy() * 2.0**fraction
        top = 2**bits - 1
        expected = np.clip(exact, 0, top) if overflow == "saturate" else np.mod(exact, 2**bits)
    else:
        cast = wide.cast(
            int_bits=bits - fraction,
            frac_bits=fraction,
            quantization=ORACLE_ROUNDING[rounding],
            overflow=ORACLE_OVERFLOW[overflow],
        )
        expected = cast.to_numpy() * 2.0**fraction
    assert found.tolist() == expected.astype(int).tolist()


@given(st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=20), st.integers(0, 45), st.sampled_from(ROUNDINGS))
def test_shift_right_agrees_with_exact_rationals(values, shift, rounding):
    found = shift_right(np.array(values), shift, rounding)
    for value, result in zip(values, found.tolist(), strict=True):
        floor, rest = divmod(value, 2**shift)
        up = {
            "truncate": False,
            "half-up": 2 * rest >= 2**shift,
            "half-even": 2 * rest > 2**shift or (2 * rest == 2**shift and floor % 2 == 1),
        }[rounding]
        assert result == floor + up


def test_round_real_does_not_fall_for_the_number_below_one_half():
    assert round_real(np.array([0.49999999999999994, 0.5, 1.5, -0.5]), "half-up").tolist() == [0, 1, 2, 0]


@given(st.integers(2, 16), st.booleans(), st.floats(1e-6, 1e6))
def test_codes_survive_a_round_trip(bits, signed, scale):
    fixed = FixedFormat(bits, signed, scale)
    codes = np.arange(fixed.minimum, fixed.maximum + 1)
    again = fixed.encode(fixed.decode(codes))
    assert again.tolist() == codes.tolist()
    assert again.dtype == fixed.dtype


@given(st.integers(-(2**60), 2**60), st.integers(1, 48), st.booleans())
def test_wrap_is_the_value_modulo_the_width(value, bits, signed):
    found = int(wrap(np.array([value]), bits, signed)[0])
    assert (found - value) % 2**bits == 0
    assert (-(2 ** (bits - 1)) <= found < 2 ** (bits - 1)) if signed else (0 <= found < 2**bits)


@given(st.integers(-(2**50), 2**50), st.integers(0, 2**50))
def test_bits_for_is_the_smallest_width(minimum, length):
    maximum = minimum + length
    bits = bits_for(minimum, maximum)
    assert -(2 ** (bits - 1)) <= minimum
    assert maximum <= 2 ** (bits - 1) - 1
    assert bits == 1 or not (-(2 ** (bits - 2)) <= minimum and maximum <= 2 ** (bits - 2) - 1)


@pytest.mark.parametrize("text", ["fx8.5", "ufx8.8", "fx16.-3", "ufx2.0"])
def test_powers_of_two_print_as_they_are_read(text):
    assert str(FixedFormat.parse(text)) == text


@pytest.mark.parametrize("text", ["exact", "24:exact", "16:saturate", "48:wrap"])
def test_accumulators_print_as_they_are_read(text):
    assert str(Accumulator.parse(text)) == text


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FixedFormat(0), r"bits: found 0, needs a whole number in 1\.\.16"),
        (lambda: FixedFormat(17), r"bits: found 17, needs a whole number in 1\.\.16"),
        (lambda: FixedFormat(8, scale=0.0), r"scale: 0\.0 is not a positive finite number"),
        (lambda: FixedFormat(8, scale=float("nan")), r"scale: nan is not a positive finite number"),
        (lambda: FixedFormat(8).encode([float("nan"), 1.0]), r"encode: 1 of 2 values are NaN or infinite"),
        (lambda: FixedFormat(8).encode([1.0], "nearest"), r"rounding: 'nearest' is not one of half-even, half-up, truncate"),
        (lambda: FixedFormat(8).encode([1.0], overflow="clip"), r"overflow: 'clip' is not one of saturate, wrap"),
        (lambda: FixedFormat(8).encode([1e30], overflow="wrap"), r"cannot be wrapped exactly"),
        (lambda: FixedFormat.parse("8.5"), r"format: '8\.5' is not fxBITS\.FRACTION"),
        (lambda: Accumulator.parse("16:clip"), r"accumulator: '16:clip' is not exact, BITS or BITS:exact"),
        (lambda: Accumulator(None, "wrap"), r"accumulator: wrap needs a width, such as 16:wrap"),
        (lambda: Accumulator(7, "wrap"), r"accumulator: found 7, needs a whole number in 8\.\.48"),
        (lambda: Accumulator(49, "exact"), r"accumulator: found 49, needs a whole number in 8\.\.48"),
        (lambda: Accumulator().minimum, r"exact without a width has no smallest or largest code"),
        (lambda: bits_for(-1, 3, signed=False), r"no unsigned code holds the range -1\.\.3"),
    ],
)
def test_impossible_formats_are_refused_in_one_line(make, message):
    with pytest.raises(FormatError, match=message):
        make()


SHIFTED = [
    # code, places, half to even, half up, truncated
    (3, 1, 2, 2, 1),
    (1, 1, 0, 1, 0),
    (5, 1, 2, 3, 2),
    (-1, 1, 0, 0, -1),
    (-3, 1, -2, -1, -2),
    (5, 2, 1, 1, 1),
    (6, 2, 2, 2, 1),
    (10, 2, 2, 3, 2),
    (7, 0, 7, 7, 7),
]


@pytest.mark.parametrize(("code", "places", "even", "up", "down"), SHIFTED)
def test_dropped_bits_round_by_hand(code, places, even, up, down):
    for rounding, expected in (("half-even", even), ("half-up", up), ("truncate", down)):
        assert shift_right(np.array([code]), places, rounding).tolist() == [expected]


@pytest.mark.parametrize(
    ("bits", "signed", "dtype"),
    [
        (2, True, "i1"),
        (8, True, "i1"),
        (9, True, "i2"),
        (8, False, "u1"),
        (9, False, "u2"),
        (16, True, "i2"),
        (16, False, "u2"),
    ],
)
def test_codes_take_the_smallest_type(bits, signed, dtype):
    assert FixedFormat(bits, signed).dtype == np.dtype(dtype)
