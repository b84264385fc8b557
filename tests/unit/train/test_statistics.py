import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from addersim.datasets import DATASETS, load  # noqa: E402
from addersim.errors import NetworkError  # noqa: E402
from addersim.train import checkpoint, loop  # noqa: E402
from addersim.train.data import Batches  # noqa: E402
from addersim.train.recipe import Recipe, load_recipe  # noqa: E402
from addersim.train.statistics import reestimate_batch_norm  # noqa: E402
from addersim.train.team import Team  # noqa: E402

PIXELS = load("fashion-mnist-2000", limit=256)
RECIPE = {"architecture": "lenet5-adder", "data": "fashion-mnist", "epochs": 1, "batch": 16}


@pytest.fixture(autouse=True)
def embedded_images(monkeypatch):
    monkeypatch.setattr(loop, "load", lambda name, root, split, limit: PIXELS.first(limit))


def net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3, momentum=0.3), nn.Dropout(0.9), nn.Flatten(), nn.Linear(48, 2), nn.BatchNorm1d(2)
    )


def batches(count=5):
    random = torch.Generator().manual_seed(1)
    return [3 * torch.randn(7, 2, 6, 6, generator=random) + 1 for _ in range(count)]


def test_statistics_are_the_plain_averages_of_the_batches():
    network, given = net(), batches()
    network[1].running_mean.fill_(1e6)  # whatever was there
    assert reestimate_batch_norm(network, given) == 5
    sums = [network[0](batch) for batch in given]
    torch.testing.assert_close(network[1].running_mean, torch.stack([one.mean((0, 2, 3)) for one in sums]).mean(0))
    torch.testing.assert_close(network[1].running_var, torch.stack([one.var((0, 2, 3)) for one in sums]).mean(0))
    scores = [network[4](nn.functional.batch_norm(one, None, None, training=True).flatten(1)) for one in sums]  # no dropout
    torch.testing.assert_close(network[5].running_mean, torch.stack([one.mean(0) for one in scores]).mean(0))


@pytest.mark.parametrize("training", [True, False])
def test_all_else_stays_and_twice_gives_the_same_bits(training):
    network = net().train(training)
    network[1].eval()
    modes, random = [one.training for one in network.modules()], torch.get_rng_state()
    weights = {name: one.clone() for name, one in network.named_parameters()}
    reestimate_batch_norm(network, batches())
    first = {name: one.clone() for name, one in network.state_dict().items()}
    reestimate_batch_norm(network, iter(batches()))
    assert all(torch.equal(one, first[name]) for name, one in network.state_dict().items())
    assert all(torch.equal(one, weights[name]) for name, one in network.named_parameters())
    assert [one.training for one in network.modules()] == modes
    assert (network[1].momentum, network[5].momentum) == (0.3, 0.1)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(one.grad is None for one in network.parameters())


def test_no_batches_are_refused_and_networks_without_statistics_read_none():
    network = net()
    before = network[1].running_var.clone()
    with pytest.raises(NetworkError, match="batch norm's statistics: no batch of images was given; give one at least"):
        reestimate_batch_norm(network, [])
    assert torch.equal(network[1].running_var, before)
    assert network[1].momentum == 0.3
    bare = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, track_running_stats=False))
    assert reestimate_batch_norm(bare, iter([None])) == 0


def history(tmp_path, **changes):
    run = loop.train(Recipe(**RECIPE | changes), tmp_path)
    return run, run.history[-1]


def test_a_trained_adder_network_is_judged_by_statistics_of_its_own_weights(tmp_path):
    run, row = history(tmp_path / "anew")
    _, lagging = history(tmp_path / "running", norm_batches=0)
    assert (row["norm_batches"], lagging["norm_batches"]) == (16, 0)  # all there are
    assert row["train_loss"] == lagging["train_loss"]
    assert row["test_loss"] < lagging["test_loss"]
    expected = run.network.state_dict()
    kept = checkpoint.load_checkpoint(tmp_path / "anew" / loop.CHECKPOINT).network()
    assert all(torch.equal(one, expected[name]) for name, one in kept.state_dict().items())
    held_out = Batches(PIXELS, DATASETS["fashion-mnist"], 500)
    assert loop.evaluate(kept, held_out, Team(0, 1, torch.device("cpu"))) == (row["test_loss"], row["test_accuracy"])


def test_no_step_of_the_training_depends_on_it(tmp_path):
    weights = []
    for count in (0, 1, 20):
        run, _ = history(tmp_path / str(count), epochs=2, norm_batches=count)
        weights.append(list(run.network.parameters()))
    assert all(torch.equal(one, other) for other in weights[1:] for one, other in zip(weights[0], other, strict=True))


def test_default_is_for_networks_that_do_more_than_multiply():
    for name, count in (("adder", 20), ("euclidean", 20), ("conv", 0)):
        assert Recipe(**RECIPE | {"architecture": f"lenet5-{name}"}).batches_for_norms() == count
    assert load_recipe("lenet5-mnist", ["architecture=lenet5-conv", "norm_batches=7"]).batches_for_norms() == 7
