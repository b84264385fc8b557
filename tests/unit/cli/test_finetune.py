import json
from unittest import mock

import numpy as np
import pytest
from typer.testing import CliRunner

from addersim.cli import app, finetune
from addersim.datasets import load
from addersim.errors import AddersimError
from addersim.network import Network
from addersim.program import Program
from tests.command_line import call as command


def call(*arguments):
    return CliRunner().invoke(app, ["finetune", *map(str, arguments)])


def failure(*arguments):
    """The one line that a user would see."""
    result = call(*arguments)
    assert isinstance(result.exception, AddersimError), result.output
    assert "\n" not in str(result.exception)
    return str(result.exception)


@pytest.mark.parametrize(("steps", "kept"), [(0, " in its first epoch, nothing is written\n"), (2, " holds epoch 1 of 2\n")])
def test_ctrl_c_says_what_the_file_holds(tmp_path, steps, kept):
    pytest.importorskip("torch")
    file = tmp_path / "program.npz"

    class Bar:
        done = 0

        def __call__(self, done):
            if done > steps:
                raise KeyboardInterrupt

        __enter__, __exit__ = (lambda self: self), (lambda self, *_: None)

    with mock.patch.object(finetune, "progress", return_value=Bar()):
        found = command("finetune", "lenet5-conv", "--bits", 4, "--images", 64, "--batch", 32, "--epochs", 2, "-o", file)
    assert found.returncode == 130
    comma = f", {file}" if steps else ""
    assert found.stderr == f"addersim: finetune: stopped by Ctrl-C{comma}{kept}"
    assert file.exists() == bool(steps)


def test_a_run_leaves_a_program_and_a_network_to_simulate(tmp_path):
    pytest.importorskip("torch")
    program, network = tmp_path / "program.npz", tmp_path / "network.npz"
    given = ["lenet5-conv", "--weight-bits", 3, "--activation-bits", 4, "--images", 64, "--batch", 32, "--epochs", 2]
    result = call(*given, "-o", program, "--save-network", network, "--threads", 1, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert [row["epoch"] for row in found["epochs"]] == [0, 1, 2]
    images = load("fashion-mnist-2000")
    right = Program.load(program).run(images.pixels).argmax(1) == images.labels
    assert np.mean(right) == pytest.approx(found["epochs"][-1]["test_accuracy"], abs=1e-9)
    assert Program.load(program).layers[0].weight_format.bits == 3
    assert Network.load(network).outputs == 10
    assert found["page"] == str(tmp_path / "program-page" / "index.html")
    page = (tmp_path / "program-page" / "index.html").read_text(encoding="utf-8")
    assert "lenet5-conv, trained on its codes" in page
    assert "<dt>weights, activations</dt><dd>3 and 4 bits</dd>" in page
    assert page.count('scope="row">conv1</th>') == 1
    simulated = CliRunner().invoke(app, ["simulate", str(program), "--limit", "50", "--json"])
    assert simulated.exit_code == 0
    shown = call(*given, "-o", program)
    assert "before" in shown.stdout
    assert "weights of 3 bits, activations of 4" in shown.stdout


def test_optimizer_and_distillation_reach_the_training(tmp_path):
    pytest.importorskip("torch")
    given = ["lenet5-adder", "--bits", 4, "--images", 64, "--batch", 32, "--epochs", 1, "--json", "-o", tmp_path / "one.npz"]
    ways = ((), ("--optimizer", "sgd"), ("--distill", "0.9"), ("--augment", "crop-flip"))
    losses = {json.loads(call(*given, *way).stdout)["epochs"][1]["loss"] for way in ways}
    assert len(losses) == len(ways)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("lenet5-adder", "--accumulator", "8"), "layer conv1: the accumulator has 8 bits and its worst case needs"),
        (("lenet5-adder", "--images", "16"), "16 images are fewer than one batch of 128"),
        (("lenet5-adder", "--rate", "2"), "rate: found 2.0, needs a number above 0 and up to 1"),
        (("lenet5-adder", "--distill", "2"), "distill: found 2.0, needs a number in 0..1"),
        (("lenet5-adder", "--device", "tpu"), "--device 'tpu' is not one of cpu, cuda"),
        (("lenet5-adder", "--optimizer", "lamb"), "optimizer: found 'lamb', needs one of adam, sgd"),
        (("lenet5-adder", "--augment", "flip"), "augment: found 'flip', needs one of none, crop-flip"),
        (("lenet5-adder", "--layer", "nine=4/4"), "layers.nine: no window layer has this name"),
        (("nothing",), "nothing"),
    ],
)
def test_mistakes_are_one_line_and_leave_no_file(arguments, message, tmp_path):
    pytest.importorskip("torch")
    assert message in failure(*arguments, "-o", tmp_path / "program.npz")
    assert not list(tmp_path.iterdir())


def test_standard_output_is_refused():
    assert "name a file" in failure("lenet5-adder", "-o", "-")


def test_missing_torch_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(finetune, "find_spec", lambda name: None)
    assert (
        failure("lenet5-adder", "-o", tmp_path / "x.npz")
        == "training needs torch; install with: pip install 'addersim[train]'"
    )
