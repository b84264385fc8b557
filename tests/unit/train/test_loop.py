import csv
import dataclasses
import io
import os

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rich.console import Console  # noqa: E402

from addersim.config import bundled_names  # noqa: E402
from addersim.datasets import DATASETS, Images, load  # noqa: E402
from addersim.errors import ConfigError, NetworkError  # noqa: E402
from addersim.network import Network  # noqa: E402
from addersim.processes.result_folders import held  # noqa: E402
from addersim.train import checkpoint, loop  # noqa: E402
from addersim.train.data import Batches  # noqa: E402
from addersim.train.models import build  # noqa: E402
from addersim.train.recipe import Recipe, load_recipe  # noqa: E402
from addersim.train.team import Team  # noqa: E402
from tests.unit.train.embedded import embedded  # noqa: E402

RECIPE = Recipe(architecture="lenet5-adder", data="fashion-mnist", epochs=4, batch=64, rate=0.1)
PIXELS = load("fashion-mnist-2000", limit=256)


@pytest.fixture(autouse=True)
def embedded_images():
    """Both splits are the embedded images, so that nothing has to be installed."""
    with embedded(PIXELS):
        yield


def weights(run):
    return run.network.state_dict()


@pytest.mark.parametrize("architecture", ["lenet5-adder", "lenet5-euclidean", "lenet5-conv"])
def test_training_learns(tmp_path, architecture):
    run = loop.train(changed(RECIPE, architecture=architecture, epochs=8, batch=16), tmp_path)
    assert run.history[-1]["train_accuracy"] > 0.6 > run.history[0]["train_accuracy"]
    assert run.history[-1]["test_accuracy"] > 0.5
    assert not run.network.training
    rates = [row["rate"] for row in run.history]
    assert rates[0] == 0.1
    assert rates == sorted(rates, reverse=True)
    assert rates[4] == pytest.approx(0.05)


def changed(recipe, **changes):
    return Recipe(**{key: changes.get(key, getattr(recipe, key)) for key in Recipe.__struct_fields__})


class Killed(BaseException):
    pass


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing stopped, and its folder."""
    folder = tmp_path_factory.mktemp("whole")
    with embedded(PIXELS):
        return loop.train(RECIPE, folder), folder


@pytest.mark.parametrize("place", ["mid-epoch", "while saving", "before the history"])
def test_killed_and_resumed_ends_with_the_same_bits(tmp_path, monkeypatch, whole, place):
    run, folder = whole
    calls = iter(range(100))

    def dies_on_call(number, function):
        def call(*arguments, **options):
            if next(calls) == number:
                raise Killed
            return function(*arguments, **options)

        return call

    with monkeypatch.context() as patch:
        if place == "mid-epoch":
            patch.setattr(loop.functional, "cross_entropy", dies_on_call(12, torch.nn.functional.cross_entropy))
        elif place == "while saving":
            patch.setattr("addersim.storage.os.replace", dies_on_call(4, os.replace))
        else:
            patch.setattr(loop, "write_rows", dies_on_call(2, loop.write_rows))
        with pytest.raises(Killed):
            loop.train(RECIPE, tmp_path / "killed")
    saved = len(checkpoint.load_checkpoint(tmp_path / "killed" / loop.CHECKPOINT).history)
    assert 0 < saved < RECIPE.epochs
    resumed = loop.train(RECIPE, tmp_path / "killed")
    assert all(torch.equal(tensor, weights(resumed)[name]) for name, tensor in weights(run).items())
    for one, other in zip(run.history, resumed.history, strict=True):
        assert all(one[key] == other[key] for key in one if key not in ("seconds", "images_per_second"))
    assert sorted(path.name for path in (tmp_path / "killed").iterdir()) == [loop.CHECKPOINT, loop.HISTORY, loop.NETWORK]
    assert history_text(tmp_path / "killed") == history_text(folder)


def history_text(folder):
    """Rows of history.csv as they are written, but for the columns that tell how long it took."""
    with (folder / loop.HISTORY).open(newline="") as file:
        return [
            [text for key, text in row.items() if key not in ("seconds", "images_per_second")] for row in csv.DictReader(file)
        ]


def test_killed_between_its_last_checkpoint_and_its_row_it_still_has_the_row(tmp_path, monkeypatch, whole):
    with monkeypatch.context() as patch:
        patch.setattr(loop, "write_rows", lambda path, rows: raise_killed() if len(rows) == RECIPE.epochs else None)
        with pytest.raises(Killed):
            loop.train(RECIPE, tmp_path / "killed")
    loop.train(RECIPE, tmp_path / "killed")
    assert history_text(tmp_path / "killed") == history_text(whole[1])


def test_a_second_run_in_a_folder_is_refused(tmp_path):
    with held(tmp_path, "training run"), pytest.raises(ConfigError, match="another run is writing there"):
        loop.train(RECIPE, tmp_path)


def test_a_history_with_a_loss_that_is_no_number_comes_back(tmp_path):
    run = loop.train(changed(RECIPE, epochs=1), tmp_path)
    history = [dict(run.history[0]) | {"test_loss": float("nan")}]
    network = build(RECIPE.architecture, seed=RECIPE.seed)
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    checkpoint.save_checkpoint(tmp_path / "c", RECIPE, network, optimizer, torch.amp.GradScaler("cpu", enabled=False), history)
    (row,) = checkpoint.load_checkpoint(tmp_path / "c").history
    assert row["test_loss"] != row["test_loss"]
    assert (row["epoch"], type(row["epoch"]), type(row["train_loss"])) == (1, int, float)


def test_a_network_that_breaks_only_where_it_is_evaluated_is_told(tmp_path):
    """After the one step of the epoch the weights are numbers still, and their squares, in running statistics, are not."""
    recipe = changed(RECIPE, architecture="lenet5-conv", epochs=1, batch=256, rate=1e6)
    with pytest.raises(NetworkError, match="step 1: the loss of images held out is nan; the first output"):
        loop.train(recipe, tmp_path)
    assert not (tmp_path / loop.CHECKPOINT).exists()


def test_finished_run_is_not_trained_again(tmp_path):
    recipe = changed(RECIPE, epochs=1)
    first = loop.train(recipe, tmp_path)
    again = loop.train(recipe, tmp_path)
    stored = checkpoint.load_checkpoint(tmp_path / loop.CHECKPOINT).network()
    assert not stored.training
    assert all(torch.equal(tensor, weights(first)[name]) for name, tensor in stored.state_dict().items())
    assert again.history == first.history
    assert all(torch.equal(tensor, weights(again)[name]) for name, tensor in weights(first).items())


@pytest.mark.parametrize("architecture", ["lenet5-adder", "lenet5-conv"])
def test_end_of_a_run_is_a_lowered_network(tmp_path, architecture):
    run = loop.train(changed(RECIPE, architecture=architecture, epochs=2, batch=16, limit=128), tmp_path)
    lowered = Network.load(tmp_path / loop.NETWORK)
    images = PIXELS.first(128)
    right = lowered.run(images.pixels).argmax(1) == images.labels
    assert right.mean() == run.history[-1]["test_accuracy"]
    ends = ", first and last layer adder" if architecture == "lenet5-adder" else ""
    assert (
        lowered.metadata["origin"]
        == f"{architecture}{ends}, trained from random weights on 128 training images of Fashion-MNIST"
    )
    assert lowered.metadata["float accuracy"] == f"{right.mean():.2%} of 128 test images after 2 epochs"
    assert load_recipe("lenet5-mnist", lowered.metadata["recipe"].split()) == run_recipe(tmp_path)


def run_recipe(folder):
    return checkpoint.load_checkpoint(folder / loop.CHECKPOINT).recipe


def test_checkpoint_of_another_run_is_refused(tmp_path):
    loop.train(changed(RECIPE, epochs=1), tmp_path)
    with pytest.raises(
        ConfigError, match=r"another run \(architecture 'lenet5-adder' there, 'lenet5-conv' here; rate 0.1 there"
    ):
        loop.train(changed(RECIPE, epochs=1, architecture="lenet5-conv", rate=0.2), tmp_path)


def test_disk_full_keeps_the_old_checkpoint(tmp_path, monkeypatch):
    loop.train(changed(RECIPE, epochs=1), tmp_path)
    path = tmp_path / loop.CHECKPOINT
    before = path.read_bytes()
    network = build("lenet5-adder")
    monkeypatch.setattr(
        "addersim.storage.os.fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    optimizer, scaler = torch.optim.SGD(network.parameters()), torch.amp.GradScaler("cpu", enabled=False)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save_checkpoint(path, RECIPE, network, optimizer, scaler, [])
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("damage", [lambda c: c[:-1], lambda c: c[:100], lambda c: b"PK" + c, lambda c: b""])
def test_damaged_checkpoint(tmp_path, damage):
    loop.train(changed(RECIPE, epochs=1, limit=64), tmp_path)
    path = tmp_path / loop.CHECKPOINT
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(NetworkError, match=r"checkpoint.safetensors: not a checkpoint, or damaged"):
        loop.train(changed(RECIPE, epochs=1, limit=64), tmp_path)


def test_loss_that_is_no_number_names_step_and_parameter_and_keeps_the_checkpoint(tmp_path):
    recipe = changed(RECIPE, architecture="lenet5-conv", rate=1e38, weight_decay=1e3)
    with pytest.raises(
        NetworkError,
        match=r"step 2: the loss is nan; parameter conv1.weight is not finite since the step before; "
        r"it is the first epoch, so that no checkpoint is there yet$",
    ):
        loop.train(recipe, tmp_path)
    assert not list(tmp_path.iterdir())
    good = loop.train(changed(RECIPE, epochs=2), tmp_path)

    class Breaks(torch.nn.Module):
        def forward(self, x):
            return x / 0

    good.network.fc1_relu = Breaks()
    images = Batches(PIXELS, DATASETS["fashion-mnist"], 32)
    optimizer, alone = torch.optim.SGD(good.network.parameters(), 0.1), Team(0, 1, torch.device("cpu"))
    learner = loop._Learner(good.network, optimizer, torch.amp.GradScaler("cpu", enabled=False))
    message = r"step 17: .* nan; the first output that is not finite is that of fc1_relu; the checkpoint of epoch 2 is kept$"
    with pytest.raises(NetworkError, match=message):
        loop._epoch(RECIPE, learner, images, alone, 2, lambda *_: None)


@pytest.mark.parametrize("epoch", [0, 1])
def test_weights_that_the_last_step_of_an_epoch_breaks_never_reach_the_checkpoint(tmp_path, monkeypatch, epoch):
    recipe, steps = changed(RECIPE, epochs=2), 4
    step, calls = loop._Learner.step, iter(range(100))

    def breaks(learner, loss):
        step(learner, loss)
        if next(calls) == epoch * steps + steps - 1:
            learner.network.conv2.adder.data[0, 0, 0, 0] = float("inf")

    monkeypatch.setattr(loop._Learner, "step", breaks)
    left = "the checkpoint of epoch 1 is kept" if epoch else "it is the first epoch, so that no checkpoint is there yet"
    message = f"step {steps * (epoch + 1)}: the last .* broke the weights; parameter conv2.adder is not finite .*; {left}$"
    with pytest.raises(NetworkError, match=message):
        loop.train(recipe, tmp_path)
    monkeypatch.setattr(loop._Learner, "step", step)
    assert (tmp_path / loop.CHECKPOINT).exists() == bool(epoch)
    assert len(loop.train(recipe, tmp_path).history) == 2


def test_last_batch_that_batch_norm_cannot_take(tmp_path):
    with pytest.raises(ConfigError, match=r"batch 64: of 65 images, 1 remain for the last batch, which needs at least 2"):
        loop.train(changed(RECIPE, limit=65), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_by_autocast_learns_too(tmp_path, precision):
    run = loop.train(changed(RECIPE, epochs=8, batch=16, precision=precision, ends="multiply"), tmp_path)
    whole = loop.train(changed(RECIPE, epochs=1, batch=16, ends="multiply"), tmp_path / "float32")
    assert run.history[-1]["train_accuracy"] > 0.6
    assert run.history[0]["train_loss"] != whole.history[0]["train_loss"]
    assert run.network.conv1.weight.dtype == torch.float32


def test_float16_goes_on_with_the_scale_it_had(tmp_path, monkeypatch):
    scaler = torch.amp.GradScaler
    monkeypatch.setattr(
        loop.torch.amp, "GradScaler", lambda device, enabled: scaler(device, growth_interval=5, enabled=enabled)
    )
    recipe = changed(RECIPE, epochs=3, precision="float16", ends="multiply")
    whole = loop.train(recipe, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(loop, "write_rows", raise_killed)
        with pytest.raises(Killed):
            loop.train(recipe, tmp_path / "killed")
    scale = checkpoint.load_checkpoint(tmp_path / "killed" / loop.CHECKPOINT).scaler["scale"]
    resumed = loop.train(recipe, tmp_path / "killed")
    assert all(torch.equal(tensor, weights(resumed)[name]) for name, tensor in weights(whole).items())
    scales = [checkpoint.load_checkpoint(tmp_path / name / loop.CHECKPOINT).scaler for name in ("whole", "killed")]
    assert scales[0] == scales[1]
    assert scales[0]["scale"] != scale


def raise_killed(*_):
    raise Killed


def test_a_step_whose_scaled_gradient_overflows_is_left_out(tmp_path):
    network = build("lenet5-conv", seed=0)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)
    learner = loop._Learner(network, torch.optim.SGD(network.parameters(), 0.1), scaler)
    before = {name: tensor.clone() for name, tensor in network.named_parameters()}
    learner.step(network(torch.ones(4, 1, 28, 28)).sum() * 1e38)
    assert scaler.get_scale() == 2.0**15
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.named_parameters())


def test_console_gets_a_line_an_epoch_and_a_terminal_a_bar(tmp_path):
    text = io.StringIO()
    loop.train(changed(RECIPE, epochs=2), tmp_path / "a", console=Console(file=text, width=200))
    lines = text.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("epoch 2/2: loss ")
    assert "(batch norm re-estimated on 4 batches); " in lines[1]
    assert "images/s, 0 min left" in lines[1]
    text = io.StringIO()
    loop.train(changed(RECIPE, epochs=1), tmp_path / "b", console=Console(file=text, width=200, force_terminal=True))
    assert "images/s" in text.getvalue()


def test_batches_hold_every_image_once_in_an_order_of_seed_and_epoch():
    batches = Batches(PIXELS, DATASETS["fashion-mnist"], 100)
    assert [len(labels) for _, labels in batches.in_order()] == [100, 100, 56]

    def labels(seed, number):
        return torch.cat([labels for _, labels in batches.epoch(seed, number)])

    assert torch.equal(labels(1, 0), labels(1, 0))
    assert not torch.equal(labels(1, 0), labels(1, 1))
    assert not torch.equal(labels(1, 0), labels(2, 0))
    assert torch.equal(labels(1, 0).sort().values, torch.from_numpy(PIXELS.labels).sort().values)


@pytest.mark.parametrize("augment", [False, True])
def test_parts_of_a_batch_make_up_the_batch(augment):
    whole = Batches(PIXELS, DATASETS["fashion-mnist"], 100, augment=augment)
    parts = [Batches(PIXELS, DATASETS["fashion-mnist"], 100, augment=augment, part=(rank, 3)) for rank in range(3)]
    assert [whole.count(number) for number in range(3)] == [100, 100, 56]
    for walk in (lambda batches: batches.epoch(5, 2), lambda batches: batches.in_order()):
        for (pixels, labels), *shares in zip(walk(whole), *map(walk, parts), strict=True):
            for rank, (some, theirs) in enumerate(shares):
                assert torch.equal(some, pixels[rank::3])
                assert torch.equal(theirs, labels[rank::3])


def test_normalisation():
    pixels, _ = next(Batches(PIXELS, DATASETS["fashion-mnist"], 256).in_order())
    expected = (PIXELS.pixels / 255 - 0.2860) / 0.3530
    np.testing.assert_allclose(pixels.numpy(), expected, atol=1e-5)
    assert pixels.is_contiguous(memory_format=torch.channels_last)


def test_crops_and_mirrors_are_windows_of_the_padded_image():
    random = np.random.default_rng(0)
    images = Images(
        "noise", random.integers(0, 256, (400, 3, 8, 6), dtype=np.uint8), np.arange(400), tuple(map(str, range(400)))
    )
    record = dataclasses.replace(DATASETS["cifar10"], mean=(0.0,) * 3, std=(1 / 255,) * 3)
    found = set()
    for pixels, labels in Batches(images, record, 64, augment=True).epoch(1, 0):
        assert pixels.is_contiguous(memory_format=torch.channels_last)
        for crop, label in zip(pixels.numpy(), labels.tolist(), strict=True):
            padded = np.pad(images.pixels[label], ((0, 0), (4, 4), (4, 4)))
            places = [
                (row, column, mirrored)
                for row in range(9)
                for column in range(9)
                for mirrored in (False, True)
                if np.array_equal(padded[:, row : row + 8, column : column + 6][..., :: -1 if mirrored else 1], crop)
            ]
            assert places
            found.add(places[0])
    assert len(found) > 140  # of 162 places, nearly all are met by 400 images
    assert sum(mirrored for *_, mirrored in found) > 60


@pytest.mark.parametrize("name", bundled_names("studies", ".toml"))
def test_bundled_studies(name):
    assert load_recipe(name).epochs >= 50


def test_studies_follow_the_released_recipe():
    recipe = load_recipe("resnet20-cifar10")
    assert (recipe.momentum, recipe.weight_decay, recipe.batch, recipe.rate, recipe.eta) == (0.9, 5e-4, 256, 0.1, 0.2)
    assert (recipe.epochs, recipe.augment, recipe.adder_rate, recipe.gradient) == (400, "crop-flip", "adaptive", "full")


def test_changes_replace_single_values():
    recipe = load_recipe("lenet5-mnist", ["epochs=3", "adder_rate=fixed", " rate = 0.05", "ends=multiply"])
    assert (recipe.epochs, recipe.adder_rate, recipe.rate, recipe.ends) == (3, "fixed", 0.05, "multiply")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("epochs", "'epochs' is not key=value; keys: architecture, data"),
        ("epoch=3", "options: unknown key epoch; known: architecture"),
        ("epochs=0", r"epochs: found 0, needs a whole number in 1\.\.100,000"),
        ("rate=-1", "rate: found -1, needs a number > 0"),
        ("rate=inf", "rate: found inf, needs a number > 0 and <= "),
        ("weight_decay=1e400", "weight_decay: found inf, needs a number >= 0 and <= "),
        ("rate=fast", "rate: found 'fast', needs a number > 0"),
        ("gradient=half", "gradient: found 'half', needs 'full' or 'sign'"),
        ("architecture=alexnet", "'alexnet' is not known; known: lenet5, vgg-small"),
        ("data=svhn", "'svhn' is not known; known: mnist, fashion-mnist"),
        ("architecture=resnet20-conv", r"resnet20-conv takes images of \(3, 32, 32\), data mnist has \(1, 28, 28\)"),
        ("data=cifar10", r"lenet5-adder takes images of \(1, 28, 28\), data cifar10 has \(3, 32, 32\)"),
    ],
)
def test_changes_that_do_not_fit(change, message):
    with pytest.raises(ConfigError, match=message):
        load_recipe("lenet5-mnist", [change])
