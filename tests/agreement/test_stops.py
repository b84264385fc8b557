"""What is stopped leaves no process and no file behind, and goes on to the same bytes."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import addersim
from addersim.exploration.sweeps import dask_cluster
from addersim.exploration.sweeps.run import sweep
from addersim.exploration.sweeps.study import Study
from tests.agreement.test_sweeps_engines import started, stop, wait_for

PATIENCE_S = 120
GRID = ("--bits", "2..9", "--accumulator", "exact,14:wrap", "--images", 200)
SEARCH = ("--images", 100, "--trials", 12, "--bits", "4,6,8", "--floor", 30)
RECIPE = ("data=fashion-mnist-2000", "epochs=12", "batch=32", "limit=512", "--threads", 1)
SECONDS = ("seconds", "images_per_second")


def verb(*arguments):
    """A command line in a session of its own, by which all that it starts can be found."""
    environment = os.environ | {"PYTHONPATH": str(Path(addersim.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "addersim", *map(str, arguments)]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def alive(process):
    """Processes of a session that have not ended."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = status.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(session) == process.pid and state not in "ZX":
            found.append(int(status.parent.name))
    return found


def end(process, number):
    """End a process by a signal; what it told. All that it started must end, too."""
    os.kill(process.pid, number)
    told = process.communicate(timeout=PATIENCE_S)[1]
    until = time.monotonic() + 15
    while left := alive(process):
        assert time.monotonic() < until, f"{len(left)} processes are left"
        time.sleep(0.05)
    return told


def finished(process):
    told = process.communicate(timeout=PATIENCE_S)[1]
    assert process.returncode == 0, told


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def sweep_in(folder):
    return ("sweep", "lenet5-adder", *GRID, "--jobs", 2, "--out", folder)


def search_in(folder):
    return ("search", "lenet5-adder", *SEARCH, "--out", folder)


def training_in(folder):
    return ("train", "lenet5-fashion-mnist", *RECIPE, "-o", folder)


def content(kind, folder):
    """All that a finished run leaves, but for what tells how long it took."""
    found = files(folder)
    if kind == "search":
        del found[Path("trials.journal")]  # tells of trials that were under way when it was killed
    if kind == "train":
        del found[Path("checkpoint.safetensors")]
        with (folder / "history.csv").open(newline="") as stream:
            found[Path("history.csv")] = [
                [text for column, text in row.items() if column not in SECONDS] for row in csv.DictReader(stream)
            ]
    return found


def jobs(folder):
    return sum(1 for path in folder.glob("jobs/simulation/*.json") if not path.name.startswith("."))


def test_sigterm_ends_a_sweep_with_all_its_workers_in_one_line(tmp_path):
    process = verb(*sweep_in(tmp_path / "out"))
    wait_for(lambda: jobs(tmp_path / "out"), process)
    assert len(alive(process)) > 2
    told = end(process, signal.SIGTERM)
    assert process.returncode == 128 + signal.SIGTERM
    assert told == "addersim: sweep: stopped by SIGTERM, what is finished is kept: the same command goes on from there\n"
    assert not list((tmp_path / "out").rglob(".*"))


def test_sigterm_ends_other_verbs_in_one_line(tmp_path):
    longer = ("search", "lenet5-adder", "--images", 500, "--trials", 500, "--floor", 30, "--out", tmp_path / "search")
    for command in (longer, ("simulate", "lenet5-adder", "--reference", "--threads", 1)):
        process = verb(*command)
        time.sleep(3)
        told = end(process, signal.SIGTERM)
        assert process.returncode == 128 + signal.SIGTERM, told
        assert told.startswith(f"addersim: {command[0]}: stopped by SIGTERM")
        assert told.count("\n") == 1


def test_workers_of_a_killed_sweep_end_and_their_folder_goes_at_the_next_start(tmp_path):
    folder = tmp_path / "out"
    process = verb(*sweep_in(folder))
    wait_for(lambda: jobs(folder), process)
    end(process, signal.SIGKILL)
    left = list(folder.glob(".shared.*"))
    finished(verb(*sweep_in(folder)))
    assert left
    assert not list(folder.rglob(".*"))


def test_a_cluster_without_workers_is_told_and_the_same_command_goes_on_when_it_has_one(tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(dask_cluster, "_WITHIN_S", 1)
    study = Study(networks=("lenet5-adder",), bits=(3, 4), images=20, calibration_images=16)
    where = tmp_path / "scheduler.json"
    options = ["--scheduler-file", where, "--no-dashboard"]
    processes = [started("-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", 0, *options)]
    try:
        wait_for(lambda: where.exists() and where.read_text().endswith("}"), *processes)
        address = json.loads(where.read_text())["address"]
        how = {"engine": "dask", "address": address}
        with pytest.raises(
            addersim.errors.SweepError,
            match=rf"engine dask: the scheduler at {address} has had no workers for 1 s; start some with: ",
        ):
            sweep(study, tmp_path / "out", **how)
        more = ["--nthreads", 1, "--no-nanny", "--local-directory", tmp_path]
        processes.append(started("-m", "distributed.cli.dask_worker", *options, *more))
        monkeypatch.setattr(dask_cluster, "_WITHIN_S", 60)
        found = sweep(study, tmp_path / "out", **how)
    finally:
        for process in processes:
            stop(process)
    assert (found.failed, found.waiting) == (0, 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "command", "kills"), [("sweep", sweep_in, 30), ("search", search_in, 10), ("train", training_in, 10)]
)
def test_killed_at_random_moments_it_ends_with_the_same_bytes_and_leaves_nothing(kind, command, kills, tmp_path):
    if kind == "train":
        pytest.importorskip("torch")
    seed = int.from_bytes(os.urandom(2), "big")
    moments = random.Random(seed)
    begin = time.monotonic()
    finished(verb(*command(tmp_path / "whole")))
    whole, seconds = content(kind, tmp_path / "whole"), time.monotonic() - begin
    done = runs = resumed = 0
    while done < kills:
        folder, running, before = tmp_path / f"killed{runs}", True, done
        while running:
            process = verb(*command(folder))
            try:
                process.wait(moments.uniform(0.3, 1.0) * seconds if done < kills else PATIENCE_S)
            except subprocess.TimeoutExpired:
                end(process, signal.SIGKILL)
                done += 1
            else:
                finished(process)
                running = False
        assert content(kind, folder) == whole, f"seed {seed}"
        assert not list(folder.rglob(".*")), f"seed {seed}"
        runs, resumed = runs + 1, resumed + (done > before)
    print(f"{kind}: {done} kills in {runs} runs, {resumed} of them resumed; seed {seed}")
