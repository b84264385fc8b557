"""addersim sweep: the same call as the function, from options or a file; refusals in one line."""

import csv
import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from addersim.cli import app
from addersim.cli.sweep import make_study
from addersim.errors import AddersimError
from addersim.exploration.sweeps.run import sweep
from addersim.exploration.sweeps.study import load_study

SMALL = ("--images", "6", "--jobs", "1")


def call(*arguments):
    found = CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)
    assert found.exit_code == 0, found.stderr
    return found.stdout


def refused(*arguments):
    with pytest.raises(AddersimError) as caught:
        CliRunner().invoke(app, ["sweep", *map(str, arguments)], catch_exceptions=False)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def study_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('networks = ["lenet5-adder"]\nbits = "3..4"\naccumulator = ["exact", "12:wrap"]\nimages = 6\n')
    return path


def test_options_and_a_file_say_the_same(tmp_path, study_file):
    options = ("--bits", "3..4", "--accumulator", "exact,12:wrap", *SMALL)
    first = json.loads(call("sweep", "lenet5-adder", *options, "--out", tmp_path / "a", "--json"))
    again = json.loads(call("sweep", study_file, "--jobs", 1, "--out", tmp_path / "b", "--json"))
    assert first["points"] == again["points"]
    assert first["points"] == [dict(row) for row in sweep(load_study(study_file), tmp_path / "c", jobs=1).rows]
    assert (tmp_path / "a" / "results.csv").read_bytes() == (tmp_path / "b" / "results.csv").read_bytes()


def test_the_table_marks_what_is_best(tmp_path):
    out = tmp_path / "out"
    told = call("sweep", "lenet5-adder", "lenet5-conv", "--bits", "2,8", "--images", 100, "--jobs", 1, "--out", out)
    with (out / "results.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    lines = [line for line in told.splitlines() if line.startswith("lenet5") and ":" not in line]
    assert [line.split()[:2] for line in lines] == [[row["network"], row["weight_bits"]] for row in rows]
    points = [(float(row["energy_pj"]), float(row["accuracy"])) for row in rows]
    for line, (energy, accuracy) in zip(lines, points, strict=True):
        beaten = any(e <= energy and a >= accuracy and (e, a) != (energy, accuracy) for e, a in points)
        assert line.rstrip().endswith("*") != beaten
    assert "lenet5-adder: 8 bits come within 1 point of float" in told
    assert f"results: {out / 'results.csv'}\nresults: {out / 'results.parquet'}\n" in told


def test_a_point_whose_sums_wrapped_is_never_near(tmp_path):
    told = call(
        "sweep", "lenet5-adder", "--bits", 6, "--accumulator", "13:wrap", "--images", 20, "--out", tmp_path, "--jobs", 1
    )
    with (tmp_path / "results.csv").open() as stream:
        (row,) = csv.DictReader(stream)
    assert row["accuracy"] == row["accuracy_float"]
    assert float(row["overflowed_share"]) > 0
    assert "lenet5-adder: no point comes within 1 point of float" in told


def test_failed_points_are_told(tmp_path):
    told = call("sweep", "lenet5-adder", "--bits", "3,8", "--accumulator", "13:exact", *SMALL, "--out", tmp_path)
    assert "1 point failed; the first: layer" in told
    assert "worst case needs" in " ".join(told.split())


def test_of_many_points_the_optimal_ones_are_printed(tmp_path, monkeypatch):
    monkeypatch.setattr("addersim.cli.sweep.MOST_ROWS", 2)
    told = call("sweep", "lenet5-adder", "--bits", "8", "--batch", "1,2,4", *SMALL, "--out", tmp_path)
    assert "Pareto-optimal points only; all 3 are in results.csv" in told
    assert f"results: {tmp_path / 'results.csv'}\n" in told


def test_options_replace_a_studys_axes():
    assert make_study([], {}, {}) == load_study("bit-widths")
    found = make_study(["adder-vs-mac"], {"weight_bits": "4", "clip_weights": "yes,no", "batch": "1,8"}, {"images": 9})
    assert (found.bits, found.weight_bits, found.clip_weights, found.batch) == (None, "4", (True, False), (1, 8))
    assert (found.circuit, found.images) == (load_study("adder-vs-mac").circuit, 9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("lenet5-adder", "--bits", "2..17"), "bits: found 17, needs a whole number in 2..16"),
        (("lenet5-adder", "--bits", "four"), "bits: 'four' is not a width or a range such as 2..8"),
        (("lenet5-adder", "--circuit", "2a,3a"), "datapath: unknown datapath '3a'; known: l1-2a, l1-1c1a, l1-xor, mac"),
        (("lenet5-adder", "--accumulator", "16:clip"), "accumulator: '16:clip' is not exact"),
        (("lenet5-adder", "--clip-weights", "maybe"), "--clip-weights: 'maybe' is not yes or no"),
        (("lenet5-adder", "--batch", "0"), "--batch: found 0, needs a whole number in 1..1,000,000"),
        (("lenet5-adder", "--batch", "x"), "--batch: found 'x', needs a whole number"),
        (("lenet5-adder", "--accelerator", "tpu"), "accelerator: accelerator 'tpu': neither a bundled name"),
        (
            ("nothing.toml",),
            "sweep 'nothing.toml': neither a bundled name (accumulator-width, adder-vs-mac, bit-",
        ),
        (("lenet6",), "networks: network 'lenet6': neither a bundled name"),
        (("bit-widths", "--engine", "slurm"), "engine: 'slurm' is not one of local, dask, ray"),
        (("bit-widths", "--data", "mnist"), "data set mnist: name the folder that holds its files (--root)"),
    ],
    ids=str,
)
def test_bad_options_are_refused_and_nothing_is_written(tmp_path, arguments, message):
    assert message in refused(*arguments, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_check_and_list_know_sweeps(study_file):
    (found,) = json.loads(call("check", study_file, "--json"))
    assert found == {"file": str(study_file), "holds": "sweep", "name": "mine", "size": "4 points"}
    names = {row["name"] for row in json.loads(call("list", "sweeps", "--json"))["sweeps"]}
    assert names == {"bit-widths", "adder-vs-mac", "accumulator-width"}
    study_file.write_text('networks = ["lenet5-adder"]\nbits = 17\n')
    with pytest.raises(AddersimError, match=r"mine.toml: bits: found 17, needs a whole number in 2\.\.16"):
        call("check", study_file)


def test_a_sweep_from_the_shell_ends_with_status_2_and_one_line(tmp_path):
    (tmp_path / "in-the-way").write_text("")
    arguments = ["sweep", "lenet5-adder", *SMALL, "--out", str(tmp_path / "in-the-way")]
    command = [sys.executable, "-c", "import addersim.cli; addersim.cli.main()", *arguments]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert len(found.stderr.strip().splitlines()) == 1
    assert "in-the-way: cannot be written to: a file stands in its place" in found.stderr
