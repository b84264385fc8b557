"""Error statistics of multipliers against EvoApproxLib's published ones, to their digits.

github.com/ehw-fit/evoapproxlib at 84e8db5, multiplers/8x8_unsigned/pareto_pwr_mae/mul8u_E9R.c: the circuit that gives zero for
all operands. Its MRE tells that pairs whose exact product is zero are left out: with them it would be 99.22 %.
"""

import numpy as np
import pytest

from addersim import MultiplierTable


def test_the_multiplier_that_gives_zero():
    found = MultiplierTable.of(np.zeros((256, 256)), signed=False, name="mul8u_E9R").errors()
    assert int(found.mean_absolute_error) == 16256  # MAE
    assert round(100 * found.mean_absolute_error / 65536, 2) == 24.81  # MAE%
    assert found.worst_case_error == 65025  # WCE
    assert round(100 * found.worst_case_error / 65536, 2) == 99.22  # WCE%
    assert round(100 * found.error_probability, 2) == 99.22  # EP%
    assert found.mean_relative_error == 1.0  # MRE%
    assert found.mean_squared_error == pytest.approx(47164.981e4, abs=5e3)  # MSE
    assert found.mean_error == -found.mean_absolute_error
