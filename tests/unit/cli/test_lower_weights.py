"""`addersim lower --weights`: which state dict of a file, which of its names, and what is said of it."""

import json

import pytest

torch = pytest.importorskip("torch")

from addersim.train.models import build  # noqa: E402
from tests.command_line import call  # noqa: E402


def lower(folder, weights, *more):
    return call("lower", "lenet5-adder", "-o", folder / "n.npz", "--weights", weights, *more)


@pytest.fixture
def path(tmp_path):
    one, two = (build("lenet5-adder", seed=seed).state_dict() for seed in (1, 2))
    torch.save(
        {"model": one, "ema": {f"net.{name}": tensor for name, tensor in two.items()}, "copy": dict(one)}, tmp_path / "w.pth"
    )
    return tmp_path / "w.pth"


def test_one_of_several_is_chosen_by_its_key(tmp_path, path):
    refused = lower(tmp_path, path)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "2 state dicts fit LeNet5, 'copy', 'model'; choose one, such as --weights" in refused.stderr
    assert lower(tmp_path, f"{path}::model").returncode == 0
    assert "has no state dict 'best'; it has 'copy', 'ema', 'model'" in lower(tmp_path, f"{path}::best").stderr


def test_a_prefix_is_taken_off_and_counters_are_told(tmp_path, path):
    assert lower(tmp_path, f"{path}::ema", "--prefix", "net.").returncode == 0
    state = build("lenet5-adder", seed=1).state_dict() | {"total_ops": torch.zeros(1)}
    torch.save(state, path)
    found = lower(tmp_path, path, "--json")
    assert json.loads(found.stdout)["network"] == "lenet5-adder"
    assert found.stderr == f"{path}: counters left out: total_ops\n"
