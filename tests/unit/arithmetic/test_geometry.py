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


UNEVEN = [
    # kernel, stride, before, after, rows, rows of outputs rounded down and up
    (2, 1, 0, 1, 4, 4, 4),  # SAME of an even kernel
    (3, 2, 0, 1, 4, 2, 2),  # SAME of an odd kernel and two steps
    (3, 2, 2, 0, 4, 2, 3),  # the last one begins on the last row
    (2, 3, 0, 1, 3, 1, 1),  # a second one would begin in the far padding
    (3, 2, 0, 0, 2, None, 1),  # rounded up, a window may be larger than the image
    (4, 1, 0, 0, 3, None, None),
]


@pytest.mark.parametrize("row", UNEVEN, ids=str)
def test_rows_with_padding_before_and_after(row):
    kernel, stride, before, after, rows, down, up = row
    for ceil_mode, expected in ((False, down), (True, up)):
        moves = Geometry((kernel, 1), (stride, 1), (before, 0), ceil_mode=ceil_mode, far_padding=(after, 0))
        if expected is None:
            with pytest.raises(
                NetworkError, match=f"height: a window of {kernel} taps, dilation 1, spans {kernel} pixels; the"
            ):
                moves.output_size(rows, 1)
        else:
            assert moves.output_size(rows, 1) == (expected, 1)


def test_padding_that_is_equal_is_said_in_one_way():
    assert Geometry((2, 2), padding=(1, 0), far_padding=(1, 0)) == Geometry((2, 2), padding=(1, 0))
    assert Geometry((2, 2), padding=(1, 0)).sides(0) == (1, 1)
    assert Geometry((2, 2), padding=(1, 0), far_padding=(0, 2)).sides(1) == (0, 2)


def test_what_far_padding_cannot_be_is_told():
    with pytest.raises(NetworkError, match=r"far_padding: \(-1, 0\) is not a pair of whole numbers in 0..1048576"):
        Geometry((2, 2), far_padding=(-1, 0))
    with pytest.raises(NetworkError, match="height: .* spans 4 pixels; the image has 1 and padding 0 before and 2 after it"):
        Geometry((4, 1), far_padding=(2, 0)).output_size(1, 1)
    with pytest.raises(
        NetworkError, match=r"padding: \(0, 0\) before and \(1, 0\) after lets a pooling window miss the image"
    ):
        Geometry((1, 1), far_padding=(1, 0)).pooled_size(2, 1)
    with pytest.raises(NetworkError, match="stride: None is not a pair"):
        Geometry((1, 1), stride=None)
