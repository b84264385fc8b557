"""Multipliers with addends, beside exact arithmetic."""

from fractions import Fraction

import numpy as np
import pytest

from addersim.frontends.quantised_multipliers import has_ties, multiplied


@pytest.mark.parametrize("seed", range(4))
def test_addends_of_few_places_are_exact_beside_any_power_of_two(seed):
    random = np.random.default_rng(seed)
    gains, addends = 2.0 ** random.integers(-12, 3, 50), random.integers(-5000, 5000, 50) / 64
    fields = multiplied(gains, addends, "x")
    for place in range(50):
        whole = 1 << int(fields["shift"][place])
        assert Fraction(int(fields["multiplier"][place]), whole) == Fraction(gains[place])
        assert Fraction(int(fields["addend"][place]), whole) == Fraction(addends[place])


def test_common_powers_of_two_stay_divided_out_where_the_addend_has_no_places():
    fields = multiplied(np.array([0.125]), np.array([3.0]), "x")
    assert (fields["multiplier"], fields["shift"], fields["addend"]) == (1, 3, 24)


@pytest.mark.parametrize("seed", range(200))
def test_ties_are_those_that_trying_all_sums_finds(seed):
    random = np.random.default_rng(seed)
    multiplier, shift = int(random.integers(1, 40)), int(random.integers(0, 9))
    addend, low = int(random.integers(-300, 300)), int(random.integers(-60, 20))
    high = low + int(random.integers(0, 60))
    whole = 1 << shift
    tried = any((multiplier * one + addend) % whole * 2 == whole for one in range(low, high + 1))
    fields = {"multiplier": np.array([multiplier]), "shift": np.array([shift]), "addend": np.array([addend])}
    assert has_ties(fields, (np.array([low]), np.array([high]))) == tried
