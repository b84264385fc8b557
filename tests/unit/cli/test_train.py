import csv
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from addersim.cli import app, train
from addersim.datasets import load
from addersim.errors import AddersimError, ConfigError
from addersim.network import Network

RECIPE = ["lenet5-fashion-mnist", "data=fashion-mnist-2000", "epochs=2", "batch=32", "limit=64"]


def call(*arguments):
    return CliRunner().invoke(app, ["train", *map(str, arguments)])


def failure(*arguments):
    """The one line that a user would see."""
    result = call(*arguments)
    assert isinstance(result.exception, AddersimError)
    assert "\n" not in str(result.exception)
    return str(result.exception)


def test_a_run_leaves_checkpoint_history_and_a_network_to_simulate(tmp_path):
    pytest.importorskip("torch")
    result = call(*RECIPE, "--output", tmp_path / "run", "--json", "--threads", "1")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert (found["epochs"], found["recipe"]["limit"]) == (2, 64)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "checkpoint.safetensors",
        "history.csv",
        "network.npz",
    ]
    with (tmp_path / "run" / "history.csv").open() as file:
        assert [float(row["test_accuracy"]) for row in csv.DictReader(file)][-1] == found["test_accuracy"]
    images = load("fashion-mnist-2000", limit=64)
    right = Network.load(found["network"]).run(images.pixels).argmax(1) == images.labels
    assert np.mean(right) == pytest.approx(found["test_accuracy"], abs=1 / 64)
    assert "epoch 2/2" in result.stderr
    again = call(*RECIPE, "--output", tmp_path / "run")
    assert "test accuracy" in again.stdout
    assert "epoch" not in again.stderr  # finished: nothing is trained again


@pytest.mark.parametrize(
    ("probe", "columns"), [("gradients", {"adder", "conv"}), ("variance", {"measured", "formula", "ratio"})]
)
def test_probes(probe, columns):
    pytest.importorskip("torch")
    rows = json.loads(call(*RECIPE, "--probe", probe, "--json").stdout)["layers"]
    assert len(rows) == 5
    assert all(columns <= row.keys() and all(row[column] > 0 for column in columns) for row in rows)
    assert rows[0]["layer"] in call(*RECIPE, "--probe", probe).stdout


def test_bad_arguments(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    assert "name either --output DIR" in failure(*RECIPE)
    assert "name either --output DIR" in failure(*RECIPE, "--output", tmp_path, "--probe", "variance")
    assert "--probe 'all' is not one of gradients, variance" in failure(*RECIPE, "--probe", "all")
    assert "--device 'tpu' is not one of cpu, cuda" in failure(*RECIPE, "-o", tmp_path, "--device", "tpu")
    assert "options: unknown key epoch; known: architecture, data, epochs" in failure(*RECIPE, "epoch=1", "-o", tmp_path)
    assert "name the folder that holds its files (--root)" in failure("lenet5-mnist", "-o", tmp_path)
    assert "study 'lenet6'" in failure("lenet6", "-o", tmp_path)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "--device cuda: torch finds no CUDA device" in failure(*RECIPE, "-o", tmp_path, "--device", "cuda")


def test_without_torch_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "find_spec", lambda name: None)
    with pytest.raises(
        ConfigError, match=r"training needs torch and safetensors; install with: pip install 'addersim\[train\]'"
    ):
        train.run("lenet5-mnist", output=tmp_path)
