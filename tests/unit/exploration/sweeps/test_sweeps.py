"""Sweeps: rows are what the verbs say, work is done once, failures stay with their points, nothing finished is lost."""

import csv
import errno
import json
import os

import pytest

import addersim
from addersim import Accumulator, Quantization, load_images, load_network, quantize, simulate
from addersim.errors import ConfigError, SweepError
from addersim.exploration.sweeps import jobs, run
from addersim.exploration.sweeps.results import RESULT_COLUMNS
from addersim.exploration.sweeps.run import Progress, sweep
from addersim.exploration.sweeps.study import Study
from addersim.hardware.estimate import estimate

IMAGES = 24
STUDY = Study(
    networks=("lenet5-adder", "lenet5-conv"),
    bits=(3, 8),
    accumulator=("exact", "12:saturate"),
    circuit=("2a", "xor"),
    batch=(1, 4),
    images=IMAGES,
    calibration_images=8,
)


def files(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def content(folder):
    return {path: (folder / path).read_bytes() for path in files(folder)}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The study, swept once without interruption."""
    folder = tmp_path_factory.mktemp("sweep")
    return folder, sweep(STUDY, folder, jobs=1)


@pytest.mark.parametrize("clips", [False, True])
def test_a_sweep_prices_adder_weights_as_estimate_does_clipped_or_not(clips, tmp_path):
    """Operands of mixed sign, which unclipped weights make, are one bit wider on every circuit."""
    calibration = load_images("fashion-mnist-2000", None, "train", 8)
    study = Study(networks="lenet5-adder", circuit=("2a", "1c1a", "xor"), clip_weights=clips, images=4, calibration_images=8)
    network, found = load_network("lenet5-adder"), sweep(study, tmp_path, jobs=1)
    assert [(row["circuit"], row["clip_weights"]) for row in found.rows] == [(one, clips) for one in study.circuit]
    for row in found.rows:
        how = Quantization(circuit=row["circuit"], clip_weights=clips)
        cost = estimate(addersim.count(quantize(network, calibration.pixels, how)), row["accelerator"], row["table"])
        assert row["energy_pj"] == cost.energy_pj


@pytest.fixture
def calls(monkeypatch):
    """Names of the jobs that were run, in this process."""
    seen = []
    for name in ("study_network", "simulate_rules", "price"):
        original = getattr(run, name)

        def counted(*arguments, name=name, original=original):
            seen.append(name)
            return original(*arguments)

        monkeypatch.setattr(run, name, counted)
    return seen


def test_every_row_is_what_the_verbs_say(done):
    folder, found = done
    calibration, test = load_images("fashion-mnist-2000", None, "train", 8), load_images("fashion-mnist-2000", limit=IMAGES)
    assert len(found.rows) == 2 * 2 * 2 * 2 + 2 * 2 * 2
    for row in found.rows:
        network = load_network(row["network"])
        how = Quantization(
            weight_bits=row["weight_bits"],
            activation_bits=row["activation_bits"],
            accumulator=Accumulator.parse(row["accumulator"]),
            circuit=row["circuit"] or "2a",
        )
        twin = simulate(quantize(network, calibration.pixels, how), test.pixels, test.labels, network)
        cost = estimate(twin.trace, row["accelerator"], row["table"], row["batch"])
        ours = tuple(row[key] for key in ("accuracy_float", "accuracy", "agreement", "cycles", "latency_ms", "taps"))
        assert ours == (twin.accuracy_float, twin.accuracy, twin.agreement, cost.cycles, cost.latency_ms, twin.trace.taps)
        assert row["energy_pj"] == cost.energy_pj_per_image
        assert row["cold_start_pj"] == cost.cold_start_pj
        parts = [value for key, value in row.items() if key.startswith("energy_") and key != "energy_pj"]
        assert sum(parts) == row["energy_pj"]
        windows = [layer for layer in twin.trace.layers if layer.work]
        assert row["accumulator_bits"] == max(layer.accumulator_bits for layer in windows)
        assert row["accumulator_bits_needed"] == max(layer.observed.bits_needed for layer in windows)
        assert (row["overflowed_share"] > 0) == any(layer.observed.overflowed for layer in windows)
        assert row["error"] is None
        assert (folder / "jobs" / "cost" / f"{row['cost']}.json").exists()


def test_tables_hold_the_rows(done):
    from pyarrow import parquet

    folder, found = done
    with (folder / "results.csv").open(newline="") as stream:
        read = list(csv.DictReader(stream))
    assert list(read[0]) == list(RESULT_COLUMNS)
    for row, text in zip(found.rows, read, strict=True):
        for column, kind in RESULT_COLUMNS.items():
            if row[column] is None:
                assert text[column] == ""
            else:
                assert (text[column] == "true" if kind is bool else kind(text[column])) == row[column]
    assert parquet.read_table(folder / "results.parquet").to_pylist() == [dict(row) for row in found.rows]


def test_work_is_done_once(tmp_path, calls):
    sweep(STUDY, tmp_path, jobs=1)
    assert (calls.count("study_network"), calls.count("simulate_rules"), calls.count("price")) == (2, 8, 24)
    del calls[:]
    before = content(tmp_path)
    sweep(STUDY, tmp_path, jobs=1)
    assert calls == []
    assert content(tmp_path) == before


def test_axes_of_cost_need_no_simulation(tmp_path, calls):
    from msgspec.structs import replace

    sweep(STUDY, tmp_path, jobs=1)
    del calls[:]
    more = replace(STUDY, circuit=("1c1a",), table=("qtools-45nm",), accelerator=("systolic-32x32", "systolic-16x16"))
    assert len(sweep(more, tmp_path, jobs=1).rows) == 32
    assert calls == ["price"] * 32


def test_what_is_missing_is_done_and_the_result_is_the_same(done, tmp_path, calls):
    import shutil

    shutil.copytree(done[0], tmp_path / "copy")
    lost = [*sorted((tmp_path / "copy/jobs/simulation").iterdir())[:2], *sorted((tmp_path / "copy/jobs/cost").iterdir())[:5]]
    for path in lost[:-1]:
        path.unlink()
    lost[-1].write_bytes(lost[-1].read_bytes()[:40])
    (tmp_path / "copy/results.csv").write_text("half a tab")
    notes = []
    sweep(STUDY, tmp_path / "copy", jobs=1, note=notes.append)
    assert calls.count("simulate_rules") == 2
    assert len(notes) == 1
    assert str(lost[-1]) in notes[0]
    assert content(tmp_path / "copy") == content(done[0])


def test_progress_counts_points(tmp_path):
    seen = []
    sweep(STUDY, tmp_path, jobs=1, progress=seen.append)
    assert seen == [Progress(24, number, 0) for number in range(25)]


FAILING = Study(networks=("lenet5-adder",), bits=(3, 8), accumulator=("13:exact",), images=4, calibration_images=4)


def test_a_point_that_fails_says_why_and_the_sweep_goes_on(tmp_path, calls):
    found = sweep(FAILING, tmp_path, jobs=1)
    three, eight = found.rows
    assert (found.failed, three["error"]) == (1, None)
    assert "the accumulator has 13 bits and its worst case needs" in eight["error"]
    assert eight["energy_pj"] is None
    del calls[:]
    assert sweep(FAILING, tmp_path, jobs=1).rows == found.rows
    assert calls == []
    assert sweep(FAILING, tmp_path, jobs=1, retry=True).rows == found.rows
    assert calls == ["study_network", "simulate_rules"]


def test_a_price_that_is_missing_fails_its_points_only(tmp_path):
    source = os.path.join(os.path.dirname(addersim.__file__), "data", "energy", "horowitz-45nm.csv")
    with open(source) as stream:
        lines = [line for line in stream if ",xor," not in line]
    (tmp_path / "short.csv").write_text("".join(lines))
    study = Study(
        networks=("lenet5-adder",), circuit=("2a", "xor"), table=(str(tmp_path / "short.csv"),), images=4, calibration_images=4
    )
    plain, lacking = sweep(study, tmp_path / "out", jobs=1).rows
    assert plain["error"] is None
    assert "has no row for integer xor of 8 bits" in lacking["error"]
    assert lacking["accuracy"] == plain["accuracy"]
    assert lacking["energy_pj"] is None


def test_any_error_of_a_job_is_its_points_alone(tmp_path, monkeypatch):
    def broken(program, *_, **__):
        raise MemoryError

    monkeypatch.setattr(jobs, "simulate", broken)
    assert sweep(FAILING, tmp_path / "a", jobs=1).rows[0]["error"] == "not enough memory"
    monkeypatch.setattr(jobs, "prepare", lambda *_: 1 / 0)
    found = sweep(FAILING, tmp_path / "b", jobs=1)
    assert [row["error"] for row in found.rows] == ["ZeroDivisionError: division by zero"] * 2
    monkeypatch.undo()
    assert sweep(FAILING, tmp_path / "b", jobs=1, retry=True).rows[0]["error"] is None


def test_a_full_disk_stops_in_one_line_and_what_was_finished_is_kept(tmp_path, monkeypatch, done):
    real, left = os.fsync, [10]

    def filling(handle):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    monkeypatch.setattr("os.fsync", filling)
    with pytest.raises(SweepError, match="No space left on device; finished points are kept: put it right"):
        sweep(STUDY, tmp_path, jobs=1)
    assert len(files(tmp_path)) == 10
    monkeypatch.undo()
    sweep(STUDY, tmp_path, jobs=1)
    assert content(tmp_path) == content(done[0])


def test_another_version_of_the_code_on_a_worker_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "code_digest", lambda compiled: "another")
    with pytest.raises(SweepError, match="runs another version of addersim; install the same on all machines"):
        sweep(STUDY, tmp_path, jobs=1)
    assert [path.name for path in files(tmp_path)] == ["study.json"]  # what was asked; no job, no result


def test_nothing_is_written_for_a_study_that_cannot_be(tmp_path):
    with pytest.raises(ConfigError, match="accelerator 'tpu'"):
        sweep(Study(networks=("lenet5-adder",), accelerator=("tpu",)), tmp_path / "out")
    with pytest.raises(ConfigError, match="engine: 'slurm' is not one of local, dask, ray"):
        sweep(STUDY, tmp_path / "out", engine="slurm")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "dask"}, "engine dask: name the address of its scheduler, such as tcp://host:8786"),
        ({"address": "tcp://here:1"}, "address: the engine local has none"),
        ({"engine": "dask", "address": "tcp://here:1", "jobs": 2}, "jobs: the engine dask takes all workers of its cluster"),
        ({"jobs": 0}, "jobs: found 0, needs a whole number in 1..1,024"),
    ],
    ids=str,
)
def test_engines_are_checked_before_anything_runs(tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        sweep(STUDY, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_missing_libraries_are_named_with_their_extra(tmp_path, monkeypatch):
    from addersim.exploration.sweeps import engines

    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    for engine in ("dask", "ray"):
        with pytest.raises(
            ConfigError, match=rf"engine {engine} needs \w+; install it with: pip install 'addersim\[{engine}\]'"
        ):
            sweep(STUDY, tmp_path, engine=engine, address="tcp://here:1")


def test_no_pyarrow_no_parquet(tmp_path, monkeypatch):
    from addersim.exploration.sweeps import results

    monkeypatch.setattr(results, "find_spec", lambda name: None)
    assert sweep(FAILING, tmp_path, jobs=1).files == (tmp_path / "results.csv",)


def test_the_study_stands_beside_its_results(done):
    folder, _ = done
    assert json.loads((folder / "study.json").read_text())["accumulator"] == ["exact", "12:saturate"]
