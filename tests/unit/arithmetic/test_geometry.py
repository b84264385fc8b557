"""Windows at the edge of what is allowed."""

import pytest

from addersim.arithmetic.geometry import MAX_TAPS, MAX_WORK, Geometry, check_work
from addersim.errors import NetworkError


def test_as_much_work_as_can_be_counted_and_no_more():
    check_work(MAX_TAPS, 1)
    check_work(1, MAX_WORK)
    with pytest.raises(NetworkError, match="16,777,217 taps an output"):
        check_work(MAX_TAPS + 1, 1)
    with pytest.raises(NetworkError, match="9,007,199,254,740,993 outputs of 1 taps each"):
        check_work(1, MAX_WORK + 1)


SIZES = [
    # kernel, stride, padding, rows, rows of outputs rounded down and up
    (2, 3, 0, 3, 1, 1),  # a second window would begin behind the image
    (2, 3, 0, 4, 1, 2),  # it begins on the last row
    (2, 3, 0, 5, 2, 2),
    (3, 2, 1, 4, 2, 3),
    (3, 2, 1, 5, 3, 3),
    (2, 2, 1, 3, 2, 2),  # it would begin in the far padding
    (1, 1, 0, 1, 1, 1),
]


@pytest.mark.parametrize(("kernel", "stride", "padding", "rows", "down", "up"), SIZES)
def test_rows_of_windows(kernel, stride, padding, rows, down, up):
    for ceil_mode, expected in ((False, down), (True, up)):
        moves = Geometry((kernel, 1), (stride, 1), (padding, 0), ceil_mode=ceil_mode)
        assert moves.output_size(rows, 1) == (expected, 1)


def test_a_pooling_window_may_touch_the_image_with_one_tap():
    assert Geometry((2, 1), padding=(1, 0)).pooled_size(2, 1) == (3, 1)
    with pytest.raises(NetworkError, match="lets a pooling window miss the image along its height"):
        Geometry((2, 1), padding=(2, 0)).pooled_size(2, 1)
