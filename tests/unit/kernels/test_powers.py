"""Sums of powers and their gradients on every instruction set, beside the formula in float64."""

import numpy as np
import pytest

from addersim import kernels
from addersim.kernels import powers

SETS = kernels.kernel_info().available


def of_formula(x, w, gradient, power):
    away = x[:, None].astype(np.float64) - w[..., None]
    slopes = power * np.abs(away) ** (power - 1) * np.sign(away) * gradient[:, :, None]
    return -(np.abs(away) ** power).sum(2), -slopes.sum(1), slopes.sum(3)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize(("groups", "outputs", "taps", "count"), [(1, 1, 1, 1), (2, 3, 5, 17), (1, 4, 9, 1030), (3, 1, 2, 15)])
def test_sums_and_gradients_of_rows_of_any_length(name, groups, outputs, taps, count, monkeypatch):
    monkeypatch.setenv("ADDERSIM_KERNELS", name)
    random = np.random.default_rng(count)
    x, w, gradient = (
        random.normal(0, 2, shape).astype(np.float32)
        for shape in ((groups, taps, count), (groups, outputs, taps), (groups, outputs, count))
    )
    x[..., 0] = w[:, 0, :]  # differences of zero
    for power in (1.0, 1.37, 2.0):
        found = (
            powers.power_forward(x, w, power),
            powers.power_input_gradient(gradient, x, w, power),
            powers.power_filter_gradient(gradient, x, w, power),
        )
        for one, wanted in zip(found, of_formula(x, w, gradient, power), strict=True):
            assert np.abs(one - wanted).max() <= 4e-6 * (1 + np.abs(wanted).max())


@pytest.mark.parametrize("name", SETS)
def test_what_is_no_number_stays_none(name, monkeypatch):
    monkeypatch.setenv("ADDERSIM_KERNELS", name)
    x = np.array([[[np.nan, np.inf, -np.inf, 1.0]]], np.float32)
    found = powers.power_forward(x, np.zeros((1, 1, 1), np.float32), 1.5).ravel()
    assert np.isnan(found[0])
    assert found[1:].tolist() == [-np.inf, -np.inf, -1.0]
