"""Cuts into even parts, against all numbers of parts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addersim.hardware.even_parts import divisors, largest_parts


@given(st.integers(1, 3000))
def test_largest_parts_are_those_of_every_number_of_parts(size):
    assert list(largest_parts(size)) == sorted({-(-size // number) for number in range(1, size + 1)})
    assert divisors(size) == [part for part in range(1, size + 1) if size % part == 0]


@pytest.mark.parametrize("root", [1, 2, 3, 4, 20, 300])
def test_squares_have_no_part_that_another_number_of_parts_does_not_give(root):
    assert list(largest_parts(root * root)) == sorted({-(-root * root // number) for number in range(1, root * root + 1)})
