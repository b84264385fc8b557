"""Frames of a sweep: what was swept is what is read."""

import pandas as pd
import pytest

from addersim.errors import DataError
from addersim.exploration.sweeps.results import RESULT_COLUMNS
from addersim.exploration.sweeps.run import sweep
from addersim.exploration.sweeps.study import Study
from addersim.report.sweep.frame import sweep_frame
from addersim.results.pareto import pareto


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    study = Study(
        networks=("lenet5-adder", "lenet5-conv"), bits=(2, 4, 8), accumulator=("14:exact",), images=40, calibration_images=8
    )
    return folder, sweep(study, folder, jobs=1)


def test_the_frame_holds_the_rows_with_their_types(swept):
    folder, found = swept
    frame = sweep_frame(folder)
    assert list(frame.columns) == [*RESULT_COLUMNS, "pareto"]
    assert 0 < found.failed < len(found.rows)
    for row, (_, read) in zip(found.rows, frame.iterrows(), strict=True):
        for column, kind in RESULT_COLUMNS.items():
            if row[column] is None:
                assert read[column] == "" if column in ("circuit", "multiplier", "error") else pd.isna(read[column])
            else:
                assert kind(read[column]) == row[column]


def test_pareto_optimal_points_are_marked_within_a_table(swept, tmp_path):
    folder, found = swept
    points = [(row["energy_pj"], row["accuracy"]) for row in found.rows]
    expected = pareto(*zip(*points, strict=True))
    assert sweep_frame(folder)["pareto"].tolist() == expected
    assert any(expected)
    text = (folder / "results.csv").read_text()
    lines = text.splitlines(keepends=True)[1:]
    (tmp_path / "results.csv").write_text(text + "".join(line.replace("horowitz-45nm", "another") for line in lines))
    assert sweep_frame(tmp_path)["pareto"].tolist() == expected * 2


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"results\.csv: no results of a sweep \(.*No such file"):
        sweep_frame(tmp_path)
    (tmp_path / "results.csv").write_text("network,table\na,b\n")
    with pytest.raises(DataError, match="no results of a sweep: column 'weight_bits' is missing"):
        sweep_frame(tmp_path)
    (tmp_path / "results.csv").write_bytes(b"\x00\xff\xfe")
    with pytest.raises(DataError, match="no results of a sweep"):
        sweep_frame(tmp_path)
