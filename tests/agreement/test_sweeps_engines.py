"""The same files come out of one process, two, a cluster, a cluster that loses a worker, and a sweep that is killed."""

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
from addersim.exploration.sweeps.run import sweep
from addersim.exploration.sweeps.study import Study

IMAGES = 100
STUDY = Study(networks=("lenet5-adder", "lenet5-conv"), bits=tuple(range(3, 9)), images=IMAGES, calibration_images=32)
SCRIPT = """
import json, sys
from addersim.exploration.sweeps.run import sweep
from addersim.exploration.sweeps.study import Study
import msgspec
sweep(msgspec.convert(json.loads(sys.argv[1]), Study), sys.argv[2], **json.loads(sys.argv[3]))
"""
PATIENCE_S = 60


def started(*command):
    environment = os.environ | {"PYTHONPATH": str(Path(addersim.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, *map(str, command)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def start_sweep(folder, **options):
    import msgspec

    return started("-c", SCRIPT, msgspec.json.encode(STUDY).decode(), folder, json.dumps(options))


def stop(process):
    """End a process and all that it started, at once."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()


def finish(process):
    told = process.communicate(timeout=PATIENCE_S)[0]
    assert process.returncode == 0, told


def wait_for(condition, *processes):
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until, "it took too long"
        for process in processes:
            assert process.poll() is None, process.communicate()[0]
        time.sleep(0.005)


def done(folder):
    """Finished jobs, temporary files of killed writers not counted."""
    return [path for path in Path(folder).glob("jobs/*/*.json") if not path.name.startswith(".")]


def content(folder):
    """Every finished file, byte for byte."""
    names = [*done(folder), *(Path(folder) / name for name in ("study.json", "results.csv", "results.parquet"))]
    return {path.relative_to(folder): path.read_bytes() for path in names}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What one process writes without interruption."""
    folder = tmp_path_factory.mktemp("alone")
    sweep(STUDY, folder, jobs=1)
    return content(folder)


def test_two_processes_write_what_one_does(alone, tmp_path):
    finish(start_sweep(tmp_path, jobs=2))
    assert content(tmp_path) == alone


def test_killed_three_times_at_random_moments_it_goes_on_and_ends_the_same(alone, tmp_path):
    moments = random.Random(int.from_bytes(os.urandom(2), "big"))
    kept = 0
    for _ in range(3):
        process = start_sweep(tmp_path, jobs=2)
        more = moments.randint(1, 4)
        wait_for(lambda aim=kept + more: len(done(tmp_path)) >= aim, process)
        time.sleep(moments.uniform(0, 0.05))
        stop(process)
        assert process.returncode == -signal.SIGKILL
        before, kept = kept, len(done(tmp_path))
        assert kept > before
    assert not (tmp_path / "results.csv").exists()
    written = {path: path.stat().st_mtime_ns for path in done(tmp_path)}
    finish(start_sweep(tmp_path, jobs=2))
    assert content(tmp_path) == alone
    assert all(path.stat().st_mtime_ns == when for path, when in written.items())  # nothing was done again


def test_two_sweeps_in_one_folder_at_once(alone, tmp_path):
    both = [start_sweep(tmp_path, jobs=1) for _ in range(2)]
    for process in both:
        finish(process)
    assert content(tmp_path) == alone


def test_a_killed_worker_is_told_in_one_line_and_nothing_finished_is_lost(alone, tmp_path):
    process = start_sweep(tmp_path, jobs=2)
    try:
        wait_for(lambda: done(tmp_path), process)
        os.kill(process.pid, signal.SIGSTOP)  # or a quick machine might be through before the worker is found
        before = set(done(tmp_path))
        children = subprocess.run(
            ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(process.pid)], capture_output=True, text=True, check=True
        )
        workers = [line.split()[0] for line in children.stdout.splitlines() if "popen_loky" in line]
        os.kill(int(workers[0]), signal.SIGKILL)
        os.kill(process.pid, signal.SIGCONT)
        told = process.communicate(timeout=PATIENCE_S)[0]
    finally:
        stop(process)
    assert process.returncode == 1
    assert "SweepError: a worker was killed, perhaps for want of memory; finished points are kept" in told
    assert before <= set(done(tmp_path))
    finish(start_sweep(tmp_path, jobs=2))
    assert content(tmp_path) == alone


@pytest.fixture
def cluster(tmp_path):
    """A Dask scheduler and two worker processes of this machine: address and workers."""
    pytest.importorskip("distributed")
    where = tmp_path / "scheduler.json"
    common = ["--scheduler-file", where, "--no-dashboard"]
    scheduler = started("-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", 0, *common)
    options = ["--nthreads", 1, "--no-nanny", "--local-directory", tmp_path]
    workers = [started("-m", "distributed.cli.dask_worker", *common, *options) for _ in range(2)]

    def address():
        try:
            return json.loads(where.read_text())["address"]
        except (OSError, ValueError):
            return None

    try:
        wait_for(lambda: address() is not None, scheduler, *workers)
        yield address(), workers
    finally:
        for process in (scheduler, *workers):
            stop(process)


@pytest.mark.parametrize(("victim", "moment"), [(0, 0.0), pytest.param(1, 0.3, marks=pytest.mark.slow)])
def test_a_cluster_that_loses_a_worker_writes_what_one_process_does(alone, tmp_path, cluster, victim, moment):
    from distributed import Client

    address, workers = cluster
    with Client(address, timeout="10s", set_as_default=False) as client:
        client.wait_for_workers(2, timeout=PATIENCE_S)
    process = start_sweep(tmp_path / "out", engine="dask", address=address)
    wait_for(lambda: len(done(tmp_path / "out")) >= 4, process, *workers)
    time.sleep(moment)
    stop(workers[victim])
    finish(process)
    assert content(tmp_path / "out") == alone


def test_a_cluster_that_does_not_answer_is_told(tmp_path):
    pytest.importorskip("distributed")
    process = start_sweep(tmp_path, engine="dask", address="tcp://127.0.0.1:1")
    told = process.communicate(timeout=PATIENCE_S)[0]
    assert process.returncode == 1
    assert "SweepError: engine dask: no scheduler answers at tcp://127.0.0.1:1" in told
