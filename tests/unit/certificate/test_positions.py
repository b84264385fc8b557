"""Windows by which of their taps meet the image: worked out by hand."""

import numpy as np
import pytest

from addersim.arithmetic.geometry import Geometry
from addersim.certificate.positions import positions


def rows(geometry, height, largest=False):
    return [(one.rows.output, one.rows.first, one.rows.end) for one in positions(geometry, (height, 1), largest)]


@pytest.mark.parametrize(
    ("moves", "height", "kinds", "largest"),
    [
        ({"padding": (1, 0)}, 5, [(0, 1, 3), (1, 0, 3), (4, 0, 2)], [(1, 0, 3)]),
        ({"padding": (1, 0)}, 2, [(0, 1, 3), (1, 0, 2)], [(1, 0, 2), (0, 1, 3)]),
        ({"padding": (1, 0), "stride": (2, 1)}, 6, [(0, 1, 3), (1, 0, 3)], [(1, 0, 3)]),
        ({"padding": (2, 0), "dilation": (2, 1)}, 4, [(0, 1, 3), (2, 0, 2)], [(2, 0, 2), (0, 1, 3)]),
        ({"padding": (4, 0), "far_padding": (0, 0), "stride": (4, 1)}, 3, [(0, 0, 0), (1, 0, 3)], [(1, 0, 3)]),
        ({"padding": (5, 0), "far_padding": (1, 0), "stride": (6, 1)}, 1, [(0, 0, 0)], [(0, 0, 0)]),
    ],
)
def test_rows_of_a_window_of_three(moves, height, kinds, largest):
    geometry = Geometry((3, 1), **moves)
    assert sorted(rows(geometry, height)) == sorted(kinds)
    assert sorted(rows(geometry, height, largest=True)) == sorted(largest)


def test_taps_in_the_padding_are_their_own():
    (corner,) = (one for one in positions(Geometry((2, 2), padding=(1, 1)), (4, 4), largest=False) if one.output == (0, 0))
    inside, outside = np.full((1, 2, 2, 1), 7), np.arange(4).reshape(1, 2, 2, 1)
    assert corner.met(inside, outside).reshape(-1).tolist() == [0, 1, 2, 7]
    assert (corner.rows.pixels, corner.rows.padding) == ((0, 1), (1, 0))


def test_a_long_axis_takes_no_memory_of_its_kernel():
    """As many outputs and taps as sizes allow: all that is held is a number or two an output."""
    found = positions(Geometry((1 << 19, 1), padding=(1 << 18, 0)), (1 << 20, 1), largest=True)
    assert [(one.rows.first, one.rows.end) for one in found] == [(0, 1 << 19)]
