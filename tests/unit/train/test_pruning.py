import re

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from addersim import count, quantize  # noqa: E402
from addersim.datasets import load  # noqa: E402
from addersim.errors import ConfigError  # noqa: E402
from addersim.layers import Window  # noqa: E402
from addersim.network import Network  # noqa: E402
from addersim.train import loop  # noqa: E402
from addersim.train.checkpoint import load_checkpoint  # noqa: E402
from addersim.train.models import build  # noqa: E402
from addersim.train.pruning import Pruning, masks, read_pruning  # noqa: E402
from addersim.train.recipe import Recipe, load_recipe  # noqa: E402
from tests.unit.train.embedded import embedded  # noqa: E402

PIXELS = load("fashion-mnist-2000", limit=64)
SMALL = {"data": "fashion-mnist", "epochs": 2, "batch": 32}


@pytest.fixture(autouse=True)
def embedded_images():
    with embedded(PIXELS):
        yield


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folders of trained runs, by architecture."""
    folder = tmp_path_factory.mktemp("runs")
    with embedded(PIXELS):
        for architecture in ("lenet5-adder", "lenet5-conv"):
            loop.train(Recipe(architecture=architecture, **SMALL), folder / architecture)
    return folder


def pruned(runs, tmp_path, architecture, prune, **changes):
    recipe = Recipe(architecture=architecture, start=str(runs / architecture), prune=prune, **SMALL | changes)
    return loop.train(recipe, tmp_path / "pruned")


def windows(network):
    return {layer.name: layer for layer in network.layers if isinstance(layer, Window)}


@pytest.mark.parametrize("architecture", ["lenet5-adder", "lenet5-conv"])
def test_the_network_that_is_written_lacks_the_channels_and_gives_the_scores_of_the_masked_one(runs, tmp_path, architecture):
    run = pruned(runs, tmp_path, architecture, "channels:0.3")
    shapes = {name: layer.weights.shape[:2] for name, layer in windows(run.lowered).items()}
    assert shapes == {"conv1": (4, 1), "conv2": (11, 4), "fc1": (84, 11 * 25), "fc2": (59, 84), "fc3": (10, 59)}
    with torch.no_grad():
        wanted = run.network(torch.from_numpy((PIXELS.pixels[:8] / 255.0 - run.lowered.mean[0]) / run.lowered.std[0]).float())
    assert np.allclose(run.lowered.run(PIXELS.pixels[:8]), wanted.numpy(), rtol=1e-3, atol=1e-3)
    assert Network.load(tmp_path / "pruned" / loop.NETWORK).totals() == run.lowered.totals()
    before = Network.load(runs / architecture / loop.NETWORK)
    assert count(quantize(run.lowered, None)).taps < 0.7 * count(quantize(before, None)).taps
    assert "trained from the weights of " in run.lowered.metadata["origin"]


def test_the_channels_with_the_smallest_factors_go_and_stay_zero_while_all_else_learns(runs, tmp_path):
    factors = load_checkpoint(runs / "lenet5-adder" / loop.CHECKPOINT).weights["fc1_bn.weight"]
    run = pruned(runs, tmp_path, "lenet5-adder", "channels:0.25")
    after = run.network.state_dict()
    zero = factors.abs().argsort(stable=True)[:30]
    for name in ("fc1_bn.weight", "fc1_bn.bias"):
        assert after[name][zero].abs().sum() == 0
        assert (after[name] != 0).sum() == 90
    left = np.setdiff1d(np.arange(120), zero)
    assert not torch.equal(after["fc1_bn.weight"][left], factors[left])


@pytest.mark.parametrize("architecture", ["lenet5-adder", "lenet5-conv"])
def test_the_smallest_weights_go_and_stay_zero_and_cost_what_they_did(runs, tmp_path, architecture):
    run = pruned(runs, tmp_path, architecture, "weights:0.5")
    before = load_checkpoint(runs / architecture / loop.CHECKPOINT).weights
    for name, layer in windows(run.lowered).items():
        assert (layer.weights == 0).sum() == layer.weights.size // 2
        own = before[f"{name}.{'adder' if architecture == 'lenet5-adder' else 'weight'}"].numpy().reshape(layer.weights.shape)
        assert np.abs(own)[layer.weights == 0].max() <= np.abs(own)[layer.weights != 0].min()
    whole = Network.load(runs / architecture / loop.NETWORK)
    counts = [count(quantize(one, None)) for one in (run.lowered, whole)]
    assert counts[0].operations == counts[1].operations


def test_of_four_weights_in_the_order_of_their_sum_the_two_largest_stay(runs, tmp_path):
    run = pruned(runs, tmp_path, "lenet5-conv", "2:4")
    before = load_checkpoint(runs / "lenet5-conv" / loop.CHECKPOINT).weights
    for name, layer in windows(run.lowered).items():
        rows = layer.weights.transpose(0, 2, 3, 1).reshape(len(layer.weights), -1)
        own = before[f"{name}.weight"].numpy().reshape(layer.weights.shape).transpose(0, 2, 3, 1).reshape(rows.shape)
        whole = rows.shape[1] // 4 * 4
        groups, ours = rows[:, :whole].reshape(-1, 4), np.abs(own[:, :whole]).reshape(-1, 4)
        assert ((groups != 0).sum(1) == 2).all()
        assert (np.where(groups == 0, ours, 0).max(1) <= np.where(groups != 0, ours, np.inf).min(1)).all()
        assert ((rows[:, whole:] != 0).sum(1) == min(2, rows.shape[1] - whole)).all()


class Killed(BaseException):
    pass


def test_killed_and_resumed_ends_with_the_same_bits(runs, tmp_path, monkeypatch):
    whole = pruned(runs, tmp_path / "whole", "lenet5-adder", "channels:0.5", epochs=3)
    calls, real = iter(range(100)), loop.functional.cross_entropy

    def dies(*arguments, **options):
        if next(calls) == 4:
            raise Killed
        return real(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(loop.functional, "cross_entropy", dies)
        with pytest.raises(Killed):
            pruned(runs, tmp_path, "lenet5-adder", "channels:0.5", epochs=3)
    resumed = pruned(runs, tmp_path, "lenet5-adder", "channels:0.5", epochs=3)
    ours = resumed.network.state_dict()
    assert all(torch.equal(tensor, ours[name]) for name, tensor in whole.network.state_dict().items())


@pytest.mark.parametrize("architecture", ["resnet20-adder", "mobilenetv2-cifar-conv", "squeezenet1.1-cifar-conv"])
def test_channels_of_other_architectures_go(architecture):
    network = build(architecture, seed=0).train()
    found = masks(read_pruning("channels:0.5"), network, (3, 32, 32))
    assert network.training
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    zero = {names[id(parameter)] for parameter, mask in found.kept if not mask.all()}
    assert zero
    if architecture == "resnet20-adder":  # those that no shortcut adds
        assert {name for name in zero if name.endswith("weight")} == {
            f"layer{stage}.{block}.bn1.weight" for stage in (1, 2, 3) for block in range(3)
        }


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"prune": "channels:0.5"}, "prune: needs the trained run whose weights are pruned: start=FOLDER"),
        ({"prune": "channels:1.5"}, "prune: 'channels:1.5'; takes channels:S or weights:S with S above 0 and below 1, or N:M"),
        ({"prune": "channels:0"}, "prune: 'channels:0'; takes"),
        ({"prune": "4:2"}, "prune: '4:2'; takes"),
        ({"prune": "half"}, "prune: 'half'; takes"),
        ({"prune": "channels:0.95", "start": "lenet5-adder"}, "prune: the share 0.95 of 6 would leave layer conv1_bn empty"),
        ({"prune": "weights:0.9999", "start": "lenet5-adder"}, "prune: the share 0.9999 of 150 would leave layer conv1 empty"),
        ({"prune": "channels:0.001", "start": "lenet5-adder"}, "prune channels:0.001: no layer has channels to prune"),
        ({"prune": "2:4", "start": "lenet5-adder"}, "prune 2:4: is for multiplying layers; the network has none"),
        ({"start": "none"}, "start: no file .*none; name the folder of a training run"),
        ({"start": "lenet5-conv"}, "start: .* is a lenet5-conv, architecture is lenet5-adder"),
    ],
)
def test_what_cannot_be_pruned_is_refused_before_training(runs, tmp_path, changes, match):
    if "start" in changes:
        changes = changes | {"start": str(runs / changes["start"])}
    with pytest.raises(ConfigError, match=match):
        loop.train(Recipe(**{"architecture": "lenet5-adder", **SMALL, **changes}), tmp_path / "run")
    assert not (tmp_path / "run" / loop.CHECKPOINT).exists()


def test_weights_that_are_never_zero_are_refused():
    with pytest.raises(ConfigError, match=re.escape("prune weights: layer conv2 has xnor weights, which are never zero")):
        masks(read_pruning("weights:0.5"), build("lenet5-xnor"), (1, 28, 28))


def test_a_recipe_takes_it_as_text():
    found = load_recipe("lenet5-mnist", ["prune=2:4", "start=runs/first"])
    assert (found.prune, found.start) == ("2:4", "runs/first")
    assert found.pruning() == Pruning("pattern", most=2, group=4)
