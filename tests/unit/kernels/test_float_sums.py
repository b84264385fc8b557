"""Sums of floats: every instruction set has the same ones to the last bit, so that no program depends on the machine."""

import numpy as np
import pytest

from addersim import kernels
from addersim.arithmetic.arithmetics import ARITHMETICS
from addersim.kernels.core import kernel_info

SHAPES = {
    "a short window": ((2, 5, 6, 3), (5, 3, 3, 3), {}),
    "a long one": ((1, 1, 1, 700), (9, 1, 1, 700), {}),
    "groups": ((1, 6, 5, 8), (6, 3, 2, 4), {"groups": 2, "padding": (1, 1)}),
    "few channels alone": ((1, 6, 7, 7), (7, 3, 3, 1), {"groups": 7}),
    "many channels alone": ((1, 5, 5, 71), (71, 3, 3, 1), {"groups": 71, "stride": (2, 2)}),
}


def on_every_set(monkeypatch, work):
    """What a function gives with each set that this machine has, by its name."""
    found = {}
    for name in kernel_info().available:
        monkeypatch.setenv("ADDERSIM_KERNELS", name)
        found[name] = work()
    assert "portable" in found
    return found


def spread(random, shape):
    """Numbers of many sizes, so that sums cancel and round."""
    return (random.normal(size=shape) * 2.0 ** random.integers(-12, 12, shape)).astype(np.float32)


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_set_has_the_same_sums(arithmetic, shape, monkeypatch):
    x_shape, w_shape, moves = SHAPES[shape]
    random = np.random.default_rng(len(shape))
    x, w = spread(random, x_shape), spread(random, w_shape)
    found = on_every_set(monkeypatch, lambda: kernels.forward(x, w, arithmetic=arithmetic, **moves).tobytes())
    assert len(set(found.values())) == 1, sorted(found)


def test_products_are_added_with_one_rounding(monkeypatch):
    """Near a tie that a sum in doubles would hit, at the ends of the range, and where there is no number at all."""
    up, down, tie = np.float32(1 + 2.0**-23), np.float32(1 - 2.0**-23), 2.0**-24
    taps = [  # two products, and what becomes of them
        ((1, up), (up, down * tie), up),
        ((-1, up), (-up, down * tie), -up),
        ((1, 1 - tie), (up, down * tie / 2), 1 - tie),
        ((1, 1), (2.0**-12, 2.0**-12), 1),
        ((2.0**100, 2.0**100), (-(2.0**100), 2.0**100), np.inf),
        ((np.inf, 1), (1, 1), np.inf),
        ((2.0**-100, 2.0**-49), (3, 2.0**-149), 2.0**-147),
        ((2.0**-75, 2.0**-75), (2.0**-75, 2.0**-75), 0),
        ((2.0**127, 1), (2.0**-149, 2.0**-149), 2.0**127),
    ]

    def sums():
        arrays = [np.array(one[:2], np.float32).T.copy() for one in taps]
        return [kernels.forward(x[None, None, None], w[None, None, None], arithmetic="mac").item() for x, w in arrays]

    for name, found in on_every_set(monkeypatch, sums).items():
        assert np.array_equal(found, [one[2] for one in taps], equal_nan=True), (name, found)
