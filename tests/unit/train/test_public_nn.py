"""`addersim.nn`, and the loop of docs/training.md that uses it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import addersim  # noqa: E402
from addersim.datasets import DATASETS, load  # noqa: E402
from addersim.network import Network  # noqa: E402
from addersim.train import nn as layers  # noqa: E402
from addersim.train.data import Batches  # noqa: E402

GUIDE = Path(__file__).parents[3] / "docs" / "training.md"


def test_names_are_public_and_those_of_the_trainer():
    assert addersim.nn.Adder2d is layers.Adder2d
    for name in addersim.nn.__all__:
        assert getattr(addersim.nn, name).__doc__


def test_it_says_what_it_needs():
    code = "import sys, importlib.util as u; u.find_spec = lambda name, *_: None; import addersim.nn"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (
        done.stderr.splitlines()[-1] == "ImportError: addersim.nn needs torch; install it with: pip install 'addersim[train]'"
    )


def test_the_loop_of_the_guide_trains_and_its_network_is_lowered():
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL) if "addersim.nn" in block)
    assert len([line for line in code.splitlines() if line]) <= 14
    images, dataset = load("fashion-mnist-2000", split="train"), DATASETS["fashion-mnist"]
    torch.manual_seed(0)
    given = Batches(images, dataset, 32)
    names = {"batches": [batch for epoch in range(6) for batch in given.epoch(1, epoch)]}
    exec(code, names)
    network: Network = addersim.lower(names["network"], dataset.shape, mean=dataset.mean, std=dataset.std)
    test = load("fashion-mnist-2000")
    assert (network.run(test.pixels).argmax(1) == test.labels).mean() > 0.65
