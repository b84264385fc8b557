import pytest
from hypothesis import given
from hypothesis import strategies as st

from addersim.hardware.dataflow import stationary
from addersim.hardware.dataflow.systolic import fold, systolic_cycles
from addersim.trace import MatrixWork

WORKS = st.builds(MatrixWork, st.integers(1, 60), st.integers(1, 60), st.integers(1, 60), st.integers(1, 3))
SIDES = st.integers(1, 20)
PLACES = {"output": "mnk", "weight": "knm", "input": "kmn", "transposed": "nkm"}  # on rows, on columns, in time
DATAFLOWS = st.sampled_from(tuple(PLACES))


@pytest.fixture(autouse=True, scope="module")
def a_fourth_dataflow():
    """Weight stationary with the sides of the array exchanged: all that follows from a row follows from this one, too."""
    with pytest.MonkeyPatch.context() as patch:
        more = {"transposed": stationary.SystolicDataflow(*PLACES["transposed"])}
        patch.setattr(stationary, "SYSTOLIC_DATAFLOWS", stationary.SYSTOLIC_DATAFLOWS | more)
        yield


def tiles(size, tile):
    return [min(tile, size - start) for start in range(0, size, tile)]


def even(size, parts):
    return [size * (part + 1) // parts - size * part // parts for part in range(parts)]


def walk(work, rows, columns, dataflow, parts=1):
    """Slow twin: every fold is walked and its words are counted as they pass."""
    sizes = {"m": work.m, "k": work.k, "n": work.n}
    on_rows, on_columns, in_time = PLACES[dataflow]
    cycles = inputs = weights = sums = 0
    for _ in range(work.groups):
        for steps in even(sizes[in_time], parts):
            for column_tile in tiles(sizes[on_columns], columns):
                for row_tile in tiles(sizes[on_rows], rows):
                    fill = 0 if in_time == "k" else rows  # inputs or weights that stay are shifted in row by row
                    cycles += fill + rows + columns + steps - 2
                    part = {on_rows: row_tile, on_columns: column_tile, in_time: steps}
                    inputs += part["m"] * part["k"]
                    weights += part["k"] * part["n"]
                    sums += part["m"] * part["n"]
    return cycles, inputs, weights, sums - work.m * work.n * work.groups


@given(WORKS, SIDES, SIDES, DATAFLOWS, st.integers(1, 9))
def test_the_closed_form_equals_a_walk_over_the_folds(work, rows, columns, dataflow, parts):
    parts = min(parts, getattr(work, PLACES[dataflow][2]))
    found = fold(work, rows, columns, dataflow, parts)
    assert (found.cycles, found.input_reads, found.weight_reads, found.partial_sums) == walk(
        work, rows, columns, dataflow, parts
    )
    assert found.outputs == work.m * work.n * work.groups
    if parts == 1:
        assert found.cycles == systolic_cycles(work, rows, columns, dataflow)


@given(WORKS, SIDES, SIDES, DATAFLOWS)
def test_overlapped_folds_only_save_what_filling_costs(work, rows, columns, dataflow):
    anew, overlapped = (fold(work, rows, columns, dataflow, overlapped=how).cycles for how in (False, True))
    assert work.taps <= overlapped * rows * columns
    assert overlapped <= anew


def test_overlapped_weight_stationary_folds_take_their_pixels_or_the_loading_of_their_weights():
    # 4 x 2 folds of 100 pixels, then of 10 pixels on 16 rows; the array fills once: 2 x 16 + 16 - 2
    assert fold(MatrixWork(100, 64, 32), 16, 16, "weight", overlapped=True).cycles == 8 * 100 + 46
    assert fold(MatrixWork(10, 64, 32), 16, 16, "weight", overlapped=True).cycles == 8 * 16 + 46
    # in ten tiles of ten pixels the weights of each are loaded anew, 16 rows at a time
    assert fold(MatrixWork(100, 64, 32), 16, 16, "weight", parts=10, overlapped=True).cycles == 8 * 10 * 16 + 46


@given(WORKS, SIDES, SIDES, DATAFLOWS)
def test_the_array_never_does_more_than_its_elements_can(work, rows, columns, dataflow):
    assert work.taps <= systolic_cycles(work, rows, columns, dataflow) * rows * columns


@pytest.mark.parametrize("dataflow", PLACES)
def test_groups_run_one_after_another(dataflow):
    one = systolic_cycles(MatrixWork(100, 9, 1), 16, 16, dataflow)
    assert systolic_cycles(MatrixWork(100, 9, 1, groups=32), 16, 16, dataflow) == 32 * one
