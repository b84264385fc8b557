"""The table of systolic dataflows: its rows against the literature, and a fourth row on which all the rest runs."""

from typing import get_args

import msgspec
import pytest

from addersim.hardware import estimate_area, load_accelerator
from addersim.hardware.accelerator import Dataflow, SystolicArray
from addersim.hardware.dataflow import stationary
from addersim.hardware.dataflow.stationary import SYSTOLIC_DATAFLOWS, SystolicDataflow
from addersim.trace import MatrixWork
from tests.unit.hardware.dataflow.test_systolic_mapper import check_that_none_is_better, convolution, machine
from tests.unit.hardware.traces import small_residual_network

WORK = MatrixWork(pixels=100, window=20, filters=3)
# what stays, (Sr, Sc, T), fill of 5 x 7 elements, size of a fold along m, n, k, passes of input, weight and sum
ROWS = {
    "output": ("partial_sum", (100, 3, 20), 5 + 7 - 2, (5, 7, 1), ("columns", "rows", "time")),
    "weight": ("weight", (20, 3, 100), 2 * 5 + 7 - 2, (1, 7, 5), ("columns", "time", "rows")),
    "input": ("input", (20, 100, 3), 2 * 5 + 7 - 2, (7, 1, 5), ("time", "columns", "rows")),
}


@pytest.mark.parametrize("name", SYSTOLIC_DATAFLOWS)
def test_what_follows_from_a_row_is_what_the_literature_says(name):
    row, (stays, sides, fill, fold_size, passes) = SYSTOLIC_DATAFLOWS[name], ROWS[name]
    assert (row.stationary, row.preloaded) == (stays, stays != "partial_sum")
    assert row.sides(WORK) == sides
    assert row.fill_cycles(5, 7) == fill
    assert row.fold_size(5, 7) == fold_size
    assert row.passes("rows", "columns", "time") == passes


def test_every_dataflow_of_an_accelerator_file_has_a_row():
    assert set(SYSTOLIC_DATAFLOWS) == set(get_args(Dataflow))
    for row in SYSTOLIC_DATAFLOWS.values():
        assert {row.rows, row.columns, row.time} == set(stationary.GEMM_DIMENSIONS)
    for name in (*SYSTOLIC_DATAFLOWS, "diagonal"):
        try:
            found = msgspec.convert({"rows": 1, "columns": 1, "dataflow": name}, SystolicArray).dataflow
        except msgspec.ValidationError:
            found = None
        assert found == (name if name in SYSTOLIC_DATAFLOWS else None)


@pytest.fixture
def fourth(monkeypatch):
    """Input stationary with the sides of the array exchanged, as one row more."""
    row = SystolicDataflow(rows="m", columns="k", time="n")
    monkeypatch.setattr(stationary, "SYSTOLIC_DATAFLOWS", SYSTOLIC_DATAFLOWS | {"fourth": row})
    return "fourth"


@pytest.mark.parametrize("memory", [0.02, 0.05, 1])
@pytest.mark.parametrize("objective", ["energy", "latency", "dram"])
def test_the_mapper_finds_the_best_tiles_of_a_fourth_row(fourth, objective, memory):
    on = machine(fourth, 2, 3, input=memory, weight=memory, output=memory)
    check_that_none_is_better(convolution(2, 1, 0, 3, 2, 5), on, objective)


def test_a_fourth_row_doubles_the_registers_that_its_stationary_operand_needs(fourth):
    def array_um2(dataflow):
        edge = load_accelerator("systolic-16x16")
        array = msgspec.structs.replace(edge.array, dataflow=dataflow, overlapped_folds=True)
        return estimate_area(small_residual_network(), msgspec.structs.replace(edge, array=array)).by_unit()["array"]

    assert array_um2(fourth) == array_um2("input") != array_um2("output")
