"""Two processes started by torchrun take the same steps as one."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import addersim  # noqa: E402

if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
    pytest.skip("this torch has no gloo", allow_module_level=True)

MAIN = "from addersim.cli import main\nmain()\n"
STEP = """
import copy, json, os, sys
import torch
from torch.nn import functional
from addersim.datasets import DATASETS, load
from addersim.train.data import Batches
from addersim.train.models import build
from addersim.train.statistics import reestimate_batch_norm
from addersim.train.team import join

images = load("fashion-mnist-2000", limit=75)
with join("cpu") as team:
    network = build("lenet5-conv", seed=1).double()
    alone, shared = copy.deepcopy(network), team.share(network)
    for called, part in ((alone, (0, 1)), (shared, (team.rank, team.size))):
        pixels, labels = next(Batches(images, DATASETS["fashion-mnist"], 75, part=part).epoch(1, 0))
        share = len(labels) * part[1] / 75
        (functional.cross_entropy(called(pixels.double()), labels) * share).backward()
    pairs = zip(alone.named_parameters(), network.parameters(), strict=True)
    differences = {name: float((one.grad - two.grad).norm() / one.grad.norm()) for (name, one), two in pairs}
    for anew in ("", "anew "):
        for (name, one), two in zip(alone.named_buffers(), network.buffers(), strict=True):
            differences[anew + name] = float((one - two).abs().max())
        for called, part in ((alone, (0, 1)), (shared, (team.rank, team.size))):
            batches = Batches(images, DATASETS["fashion-mnist"], 25, part=part).in_order()
            reestimate_batch_norm(called, (pixels.double() for pixels, _ in batches))
    if team.rank == 0:
        print(json.dumps([team.size, team.sum([1.0, team.rank]), differences]))
    else:
        team.sum([1.0, team.rank])
# On a busy machine torch's own threads may outlive the interpreter, which then aborts: nothing that is looked at here.
sys.stdout.flush()
os._exit(0)
"""


def start(folder, text, *arguments, processes=1):
    script = folder / "script.py"
    script.write_text(text)
    launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    environment = os.environ | {"PYTHONPATH": str(Path(addersim.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *launch, str(script), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done


def train(folder, processes):
    # 201 images are 75, 75 and 51; at a small rate, so that rounding does not grow into other steps
    changes = ["data=fashion-mnist-2000", "epochs=2", "batch=75", "limit=201", "rate=0.01", "architecture=lenet5-adder"]
    folder.mkdir()
    done = start(folder, MAIN, "train", "lenet5-fashion-mnist", *changes, "--output", folder / "run", processes=processes)
    with (folder / "run" / "history.csv").open() as file:
        return list(csv.DictReader(file)), done.stderr


def test_same_curve_as_one_process(tmp_path):
    (one, _), (two, told) = (train(tmp_path / str(processes), processes) for processes in (1, 2))
    assert told.count("epoch 2/2") == 1  # one process reports
    for alone, shared in zip(one, two, strict=True):
        for key in ("train_loss", "test_loss"):
            assert float(shared[key]) == pytest.approx(float(alone[key]), rel=1e-3)
        for key in ("train_accuracy", "test_accuracy"):
            assert float(shared[key]) == pytest.approx(float(alone[key]), abs=1.01 / 201)


def test_gradients_and_statistics_of_a_step_are_those_of_the_whole_batch(tmp_path):
    """In float64, where rounding hides nothing; shares of 38 and 37 images."""
    size, sums, differences = json.loads(start(tmp_path, STEP, processes=2).stdout)
    assert (size, sums) == (2, [2.0, 1.0])
    assert len(differences) == 5 + 10 + 2 * 15
    assert max(differences.values()) < 1e-9
