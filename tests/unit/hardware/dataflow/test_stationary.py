"""The three systolic dataflows, row by row, against the table of SCALE-Sim's documentation and a count by hand."""

import pytest

from addersim.hardware.dataflow.stationary import STATIONARY
from addersim.trace import MatrixWork

M, K, N = 640, 27, 48
WORK = MatrixWork(pixels=M, window=K, filters=N)
# On 16 x 8 elements: what stays, Sr, Sc, T, cycles beside the stream, elements along (M, N, K), and how often inputs, weights
# and sums pass: with 3 folds down, 5 across and the stream in 2 parts.
TABLE = {
    "output": ("partial_sum", False, (M, N, K), 16 + 8 - 2, (16, 8, 1), (5, 3, 2)),
    "weight": ("weight", True, (K, N, M), 32 + 8 - 2, (1, 8, 16), (5, 2, 3)),
    "input": ("input", True, (K, M, N), 32 + 8 - 2, (8, 1, 16), (2, 5, 3)),
}


@pytest.mark.parametrize("name", STATIONARY)
def test_each_dataflow_by_hand(name):
    found = STATIONARY[name]
    stays, loads, sides, fill, by_size, passes = TABLE[name]
    assert (found.stays, found.loads) == (stays, loads)
    assert found.sides(WORK) == sides
    assert found.fill(16, 8) == fill
    assert found.by_size(16, 8, 1) == by_size
    assert found.passes(row_folds=3, column_folds=5, parts=2) == passes


def test_the_stationary_operand_is_the_one_of_the_two_sizes_that_lie():
    assert {one.stays for one in STATIONARY.values()} == {"input", "weight", "partial_sum"}
    assert all(len({one.rows, one.columns, one.streams}) == 3 for one in STATIONARY.values())
