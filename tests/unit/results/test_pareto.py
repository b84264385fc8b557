"""Pareto: agreement with the definition, written out."""

import math

from hypothesis import given
from hypothesis import strategies as st

from addersim.results.pareto import pareto

NUMBERS = st.one_of(st.integers(0, 4).map(float), st.none(), st.just(math.nan))


def dominates(one, other):
    return one[0] <= other[0] and one[1] >= other[1] and one != other


@given(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=12))
def test_optimal_is_what_no_other_point_dominates(points):
    valid = [point for point in points if not any(value is None or math.isnan(value) for value in point)]
    expected = [point in valid and not any(dominates(other, point) for other in valid) for point in points]
    assert pareto([cost for cost, _ in points], [gain for _, gain in points]) == expected
