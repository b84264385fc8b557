"""The training loop: stochastic gradient descent with momentum, a cosine schedule, a checkpoint after every epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.nn import functional

from addersim.datasets.records import Images
from addersim.datasets.registry import read as load
from addersim.errors import ConfigError, NetworkError
from addersim.network import Network
from addersim.processes.result_folders import held
from addersim.storage import write_rows
from addersim.train.annealing import power_at, set_power
from addersim.train.checkpoint import FILE, Checkpoint, load_checkpoint, load_run, save_checkpoint
from addersim.train.data import Batches
from addersim.train.distillation import Distiller, distiller
from addersim.train.models import build, load_weights
from addersim.train.pruning import masks
from addersim.train.rate import AdderRate, adder_filters
from addersim.train.recipe import Recipe
from addersim.train.replay import Replayed, is_replayable
from addersim.train.statistics import reestimate_batch_norm
from addersim.train.team import Team, join

__all__ = ["Run", "evaluate", "train"]

CHECKPOINT, HISTORY, NETWORK = FILE, "history.csv", "network.npz"


@dataclass(frozen=True, slots=True)
class Run:
    """A finished training run.

    Attributes
    ----------
    network
        The trained network, on the CPU, in evaluation mode.
    history
        One row an epoch: epoch, rate, train_loss, train_accuracy, test_loss, test_accuracy, seconds, images_per_second, and
        norm_batches, on how many training batches the statistics behind test_loss and test_accuracy were taken anew; 0 where
        they are the running ones. Where p is annealed also power, the p behind them.
    lowered
        The same as plain arrays, ready to simulate.
    folder
        Holds checkpoint.safetensors, history.csv and, as network.npz, the lowered network.
    """

    network: nn.Module
    history: tuple[Mapping[str, float], ...]
    lowered: Network
    folder: Path


@dataclass(frozen=True, slots=True)
class _Learner:
    """A network as it is called in training, its optimizer, and the scale that keeps float16 gradients off zero."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    distiller: Distiller | None = None
    replayed: Replayed | None = None

    def scores(self, pixels: Tensor) -> Tensor:
        """The network's output in training."""
        found: Tensor = self.network(pixels) if self.replayed is None else self.replayed(pixels)
        return found

    def step(self, loss: Tensor) -> None:
        """One step down the gradient of the loss; left out, and the scale lowered, where a scaled gradient overflows."""
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self.scaler.step(self.optimizer)
        self.scaler.update()


def train(
    recipe: Recipe,
    folder: str | Path,
    *,
    root: str | Path | None = None,
    device: str = "cpu",
    console: Console | None = None,
) -> Run:
    """Train a network, or go on with a run that was stopped.

    On the CPU, a run that was killed at any moment and started again ends with the same bits as one that was not, given
    the same number of threads. Started by ``torchrun``, every process takes its share of each batch; batch norm and learning
    rates see the whole batch, so that the steps are those of one process but for rounding. All must see the same folder.

    Before a network with adder layers is evaluated, and so before it is written, batch norm's statistics are taken anew on
    some training batches (`Recipe.norm_batches`); lines and history say on how many.

    Parameters
    ----------
    recipe
        What to train and how.
    folder
        Where checkpoint and history go. A checkpoint of the same recipe that lies there is continued.
    root
        Folder of the data files; None takes the set's default.
    device
        ``cpu`` or ``cuda``.
    console
        Where progress and one line an epoch are printed; None is silent.

    Raises
    ------
    DataError, ConfigError
        For data that cannot be read, a folder that holds another run, and a last batch too small for batch norm.
    NetworkError
        Where loss or weights are no longer numbers: the message names step and layer; the last sound checkpoint is kept.
    """
    folder, dataset = Path(folder), recipe.dataset()
    with join(device) as team, held(folder, "training run") if team.rank == 0 else nullcontext():
        options: dict[str, Any] = {"device": team.device, "part": (team.rank, team.size)}
        found = load(dataset, root, "train", recipe.limit)
        _check_batches(recipe, found, team)
        images = Batches(found, dataset, recipe.batch, augment=recipe.augment == "crop-flip", **options)
        held_out = Batches(load(dataset, root, "test", recipe.limit), dataset, 500, **options)
        network = _first(recipe)
        network.to(device=team.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        beside = distiller(recipe, network, team.size)
        beside = None if beside is None else beside.to(device=team.device)
        companion = beside if beside is not None and beside.progressive else None
        learning = [*network.parameters(), *(companion.trained() if companion is not None else ())]
        optimizer = torch.optim.SGD(learning, recipe.rate, recipe.momentum, weight_decay=recipe.weight_decay)
        if any(adder_filters(network)):
            optimizer.register_step_pre_hook(AdderRate(network, recipe.adder_rate, recipe.eta, recipe.fixed_factor))
        if (pruning := recipe.pruning()) is not None:
            optimizer.register_step_post_hook(masks(pruning, network, dataset.shape))
        scaler = torch.amp.GradScaler(team.device.type, enabled=recipe.precision == "float16")
        history = _resume(folder / CHECKPOINT, recipe, network, optimizer, scaler, companion)
        if history and team.rank == 0:
            write_rows(folder / HISTORY, history)  # a run that was killed may have kept the epoch, and not yet its row
        replayed = Replayed(network, recipe.half()) if team.size == 1 and is_replayable(network, team.device) else None
        learner = _Learner(team.share(network), optimizer, scaler, beside, replayed)
        for _ in range(len(history), recipe.epochs):
            history.append(_row(recipe, learner, images, held_out, team, len(history), console))
            if team.rank == 0:
                save_checkpoint(folder / CHECKPOINT, recipe.beside(folder), network, optimizer, scaler, history, companion)
                write_rows(folder / HISTORY, history)
            if console and team.rank == 0:
                console.print(_line(history[-1], recipe.epochs), highlight=False)
        checkpoint = Checkpoint(recipe.beside(folder), network.state_dict(), {}, {}, history)
        lowered = checkpoint.lowered()
        if team.rank == 0:
            lowered.save(folder / NETWORK)
    return Run(checkpoint.network(), tuple(history), lowered, folder)


def _first(recipe: Recipe) -> nn.Module:
    """The network before its first step."""
    network = build(**recipe.network(), seed=recipe.seed)
    if recipe.start is not None:
        found = load_run(recipe.start, recipe, "start")
        if found.recipe.architecture != recipe.architecture:
            raise ConfigError(f"start: {recipe.start} is a {found.recipe.architecture}, architecture is {recipe.architecture}")
        load_weights(network, found.weights)
    return network


def _check_batches(recipe: Recipe, images: Images, team: Team) -> None:
    """Batch norm needs two images; each process must get one at least."""
    last = len(images) % recipe.batch or recipe.batch
    if last < max(2, team.size):
        raise ConfigError(
            f"batch {recipe.batch}: of {len(images)} images, {last} remain for the last batch, which needs at least "
            f"{max(2, team.size)} (batch norm takes 2, and each process 1): choose another batch or limit"
        )


def _row(
    recipe: Recipe,
    learner: _Learner,
    images: Batches,
    held_out: Batches,
    team: Team,
    epoch: int,
    console: Console | None,
) -> dict[str, float]:
    """Train one epoch and evaluate: a row of the history."""
    rate = recipe.rate * 0.5 * (1 + math.cos(math.pi * epoch / recipe.epochs))
    for group in learner.optimizer.param_groups:
        group["lr"] = rate
    power = power_at(epoch, recipe.anneal)
    if set_power(learner.network, power) and learner.replayed is not None:
        learner.replayed.forget()  # it recorded the power before
    begin = time.perf_counter()
    with _progress(console if team.rank == 0 else None, f"epoch {epoch + 1}/{recipe.epochs}", len(images)) as report:
        loss, accuracy = _epoch(recipe, learner, images, team, epoch, report)
    seconds = time.perf_counter() - begin
    taken = _take_statistics(recipe, learner.network, images, epoch)
    test_loss, test_accuracy = evaluate(learner.network, held_out, team)
    if not math.isfinite(test_loss):  # what a batch normalises by itself hides large weights
        pixels, step = next(held_out.in_order())[0], (epoch + 1) * len(images)
        raise _diverged(learner, pixels, epoch, step, f"the loss of images held out is {test_loss}")
    row = {"epoch": epoch + 1, "rate": rate, "train_loss": loss, "train_accuracy": accuracy}
    row |= {"test_loss": test_loss, "test_accuracy": test_accuracy} | ({"power": power} if recipe.anneal else {})
    return row | {"seconds": seconds, "images_per_second": len(images.labels) / seconds, "norm_batches": taken}


def _take_statistics(recipe: Recipe, network: nn.Module, images: Batches, epoch: int) -> int:
    """Batch norm's statistics anew, on the batches with which the epoch began; how many these were.

    They stay in the network, and so in its checkpoint: training normalises by its batches and never reads them.
    """
    if not (count := recipe.batches_for_norms()):
        return 0
    return reestimate_batch_norm(network, (pixels for pixels, _ in islice(images.epoch(recipe.seed, epoch), count)))


def _resume(
    path: Path,
    recipe: Recipe,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    companion: nn.Module | None,
) -> list[dict[str, float]]:
    """Continue from a checkpoint where there is one; the history so far."""
    if not path.exists():
        return []
    checkpoint = load_checkpoint(path)
    checkpoint.require(recipe, path)
    checkpoint.restore(network, optimizer, scaler, companion)
    return list(checkpoint.history)


def _epoch(recipe: Recipe, learner: _Learner, images: Batches, team: Team, epoch: int, report: Any) -> tuple[float, float]:
    """One pass over the training images: mean loss and accuracy, as the network was at each step."""
    network, half = learner.network.train(), recipe.half()
    total, right, seen = 0.0, 0, 0
    for number, (pixels, labels) in enumerate(images.epoch(recipe.seed, epoch)):
        with torch.autocast(team.device.type, half, enabled=half is not None):
            scores = learner.scores(pixels)
        loss = functional.cross_entropy(scores.float(), labels)
        if not math.isfinite(value := loss.item()):
            raise _diverged(learner, pixels, epoch, epoch * len(images) + number + 1, f"the loss is {value}")
        if learner.distiller is not None:
            loss = learner.distiller.loss(loss, scores.float(), pixels, labels)
        # Gradients are averaged over processes; of unequal shares, each counts by its size.
        learner.step(loss * (len(labels) * team.size / images.count(number)))
        total += value * len(labels)
        right += int((scores.argmax(1) == labels).sum())
        seen += len(labels)
        report(total / seen, right / seen, seen * team.size)
    if not all(parameter.isfinite().all() for parameter in network.parameters()):  # the last step: no loss has seen it
        raise _diverged(learner, pixels, epoch, (epoch + 1) * len(images), "the last of its epoch broke the weights")
    total, hits, count = team.sum([total, right, seen])
    return total / count, hits / count


def _diverged(learner: _Learner, pixels: Tensor, epoch: int, step: int, what: str) -> NetworkError:
    """Where a run broke, and what is left of it."""
    left = f"the checkpoint of epoch {epoch} is kept" if epoch else "it is the first epoch, so that no checkpoint is there yet"
    if learner.replayed is not None:
        learner.replayed.forget()  # a recording calls no layer by which to find the broken one
    return NetworkError(f"step {step}: {what}; {_first_broken(learner.network, pixels)}; {left}")


@torch.no_grad()
def evaluate(network: nn.Module, batches: Batches, team: Team) -> tuple[float, float]:
    """Mean cross-entropy and accuracy in evaluation mode, over the parts of all processes."""
    network.eval()
    total, right = 0.0, 0
    for pixels, labels in batches.in_order():
        scores = network(pixels)
        total += functional.cross_entropy(scores, labels, reduction="sum").item()
        right += int((scores.argmax(1) == labels).sum())
    total, hits = team.sum([total, right])
    return total / len(batches.labels), hits / len(batches.labels)


@torch.no_grad()
def _first_broken(network: nn.Module, pixels: Tensor) -> str:
    """Name of the first parameter or layer output that is not finite."""
    for name, parameter in network.named_parameters():
        if not parameter.isfinite().all():
            return f"parameter {name} is not finite since the step before"
    found: list[str] = []

    def look(name: str) -> Any:
        return lambda module, inputs, output: found.append(name) if not output.isfinite().all() else None

    leaves = [(name, module) for name, module in network.named_modules() if not list(module.children())]
    hooks = [module.register_forward_hook(look(name)) for name, module in leaves]
    network(pixels)
    for hook in hooks:
        hook.remove()
    return f"the first output that is not finite is that of {found[0]}" if found else "every layer's output is finite"


@contextmanager
def _progress(console: Console | None, title: str, steps: int) -> Iterator[Any]:
    """A function of (loss, accuracy, images seen) that moves a progress bar on a terminal."""
    if console is None or not console.is_terminal:
        yield lambda *_: None
        return
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}"), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        task, begin = bar.add_task(title, total=steps, state=""), time.perf_counter()

        def report(loss: float, accuracy: float, seen: int) -> None:
            speed = seen / (time.perf_counter() - begin)
            bar.update(task, advance=1, state=f"loss {loss:.4f}  accuracy {accuracy:.2%}  {speed:,.0f} images/s")

        yield report


def _line(row: Mapping[str, float], epochs: int) -> str:
    minutes = (epochs - row["epoch"]) * row["seconds"] / 60
    left = f"{row['seconds']:.1f} s, {row['images_per_second']:,.0f} images/s, {minutes:.0f} min left"
    trained = f"loss {row['train_loss']:.4f}, accuracy {row['train_accuracy']:.2%}"
    tested = f"test {row['test_loss']:.4f}, {row['test_accuracy']:.2%}"
    if row["norm_batches"]:
        tested += f" (batch norm re-estimated on {row['norm_batches']} batches)"
    if row.get("power", 1.0) > 1:
        tested += f", not yet as adder layers: p = {row['power']:.3g}"
    return f"epoch {row['epoch']:.0f}/{epochs}: {trained}; {tested}; {left}"
