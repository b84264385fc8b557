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
        "index.html",
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


def test_a_trained_run_is_pruned_and_teaches(tmp_path):
    pytest.importorskip("torch")
    first, second = tmp_path / "first", tmp_path / "second"
    assert call(*RECIPE, "--output", first, "--threads", "1").exit_code == 0
    changes = [f"start={first}", f"teacher={first}", "prune=channels:0.5"]
    result = call(*RECIPE, *changes, "--output", second, "--threads", "1")
    assert result.exit_code == 0, result.stderr
    whole, small = (Network.load(folder / "network.npz").totals() for folder in (first, second))
    assert small.parameters < 0.4 * whole.parameters
    assert small.macs["l1"] < 0.4 * whole.macs["l1"]


def test_what_cannot_teach_or_be_pruned_is_one_line(tmp_path):
    pytest.importorskip("torch")
    none = tmp_path / "none"
    run = [*RECIPE, "-o", tmp_path / "run"]
    assert f"teacher: no file {none}; name the folder of a training run" in failure(*run, f"teacher={none}")
    assert "distill logits: needs a teacher" in failure(*run, "distill=logits")
    assert "distill: found 'soft', needs 'logits' or 'pkkd'" in failure(*run, "distill=soft")
    assert "prune: needs the trained run whose weights are pruned: start=FOLDER" in failure(*run, "prune=2:4")
    assert f"start: no file {none}" in failure(*run, f"start={none}", "prune=2:4")
    assert "prune: 'channels'; takes channels:S" in failure(*run, f"start={none}", "prune=channels")
    assert not (tmp_path / "run" / "checkpoint.safetensors").exists()


def test_without_torch_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "find_spec", lambda name: None)
    with pytest.raises(
        ConfigError, match=r"training needs torch and safetensors; install with: pip install 'addersim\[train\]'"
    ):
        train.run("lenet5-mnist", output=tmp_path)
