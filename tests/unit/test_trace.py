"""Traces: what a window layer says about its shape."""

import msgspec
import pytest

from addersim import count, quantize
from addersim.arithmetic.arithmetics import ARITHMETICS
from addersim.trace import MatrixWork
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


def test_a_matrix_product_has_the_names_of_the_field_and_is_stored_under_its_own():
    work = MatrixWork(pixels=64, window=27, filters=16, groups=2)
    assert (work.m, work.k, work.n, work.groups) == (work.pixels, work.window, work.filters, 2) == (64, 27, 16, 2)
    assert (work.weights, work.taps) == (27 * 16 * 2, 64 * 27 * 16 * 2)
    assert work.batched(3) == MatrixWork(192, 27, 16, 2)
    stored = b'{"pixels":64,"window":27,"filters":16,"groups":2,"geometry":null,"image":null,"kept":null}'
    assert msgspec.json.encode(work) == stored
    assert msgspec.json.decode(stored, type=MatrixWork) == work
    before = stored.replace(b',"kept":null', b"")  # as sweeps wrote it before zeros could be skipped
    assert msgspec.json.decode(before, type=MatrixWork) == work


def test_taps_and_weights_are_those_that_are_kept_and_the_window_stays():
    work = MatrixWork(pixels=64, window=27, filters=16, groups=2, kept=14)
    assert (work.window, work.k, work.weights, work.taps) == (27, 14, 14 * 16 * 2, 64 * 14 * 16 * 2)
