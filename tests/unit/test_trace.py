"""Traces: what a window layer says about its shape."""

import pytest

from addersim import count, quantize
from addersim.arithmetic.arithmetics import ARITHMETICS
from tests.unit.networks import residual


def counted(arithmetic="l1"):
    return count(quantize(residual(arithmetic=arithmetic), None))


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_geometry_of_every_window_layer_gives_its_pixels_and_its_window(arithmetic):
    windows = [layer.work for layer in counted(arithmetic).layers if layer.work]
    assert len(windows) == 5
    for work in windows:
        rows, columns = work.geometry.output_size(*work.image)
        height, width = work.geometry.kernel
        assert work.pixels == rows * columns
        assert work.window % (height * width) == 0
        assert work.groups == work.geometry.groups


def test_a_linear_layer_is_a_window_over_one_pixel():
    work = [layer.work for layer in counted().layers if layer.work][-1]
    assert (work.geometry.kernel, work.image, work.pixels, work.window) == ((1, 1), (1, 1), 1, 8)
