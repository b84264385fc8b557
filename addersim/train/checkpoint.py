"""Checkpoints: one safetensors file with weights, momentum and, as JSON, the recipe and the history so far."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import safetensors.torch
import torch
from torch import Tensor, nn

from addersim.errors import ConfigError, NetworkError
from addersim.frontends.torch.lower import lower
from addersim.inputs.opening import parsing
from addersim.network import Network
from addersim.processes.result_folders import MARKS
from addersim.pruning import remove_channels
from addersim.storage import write_atomically
from addersim.train.models import ARCHITECTURES, build, load_weights
from addersim.train.recipe import Recipe
from addersim.train.weights import read_safetensors

__all__ = ["FILE", "Checkpoint", "load_checkpoint", "load_run", "save_checkpoint"]

FILE = MARKS["training run"]
"""Its name in the folder of a run."""

History = list[dict[str, int | float]]
"""Rows as they are written: what was a whole number comes back as one."""
SHOWN = ("train_accuracy", "test_accuracy")
"""What is told of an epoch; a row may hold more."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A training run between two epochs.

    Attributes
    ----------
    recipe
        What is being trained.
    weights
        State dict of the network.
    momentum
        Momentum of each parameter, by its name.
    scaler
        State of the gradient's scale; empty but in float16.
    history
        One row for each finished epoch.
    companion
        Weights and momentum of what learns beside the network, as ``weights/...`` and ``momentum/...``.
    """

    recipe: Recipe
    weights: Mapping[str, Tensor]
    momentum: Mapping[str, Tensor]
    scaler: Mapping[str, float]
    history: History
    companion: Mapping[str, Tensor] = field(default_factory=dict)

    def network(self) -> nn.Module:
        """The network as it was, in evaluation mode."""
        network = build(**self.recipe.network())
        load_weights(network, self.weights)
        return network.eval()

    def lowered(self) -> Network:
        """The network as plain arrays, with what it was trained on."""
        recipe, dataset = self.recipe, self.recipe.dataset()
        images = {split: min(recipe.limit or count, count) for split, count in dataset.counts.items()}
        the = "" if recipe.limit else "the "
        architecture = ARCHITECTURES[recipe.architecture]
        ends = recipe.ends or architecture.layers.ends
        begin = f"the weights of {recipe.start}" if recipe.start else "random weights"
        kind = recipe.architecture + (f", first and last layer {ends}" if architecture.layers.arithmetic == "adder" else "")
        accuracy = (
            f"{self.history[-1]['test_accuracy']:.2%} of {images['test']:,} test images" if self.history else "untrained"
        )
        metadata = {
            "origin": f"{kind}, trained from {begin} on {the}{images['train']:,} training images of {dataset.title}",
            "recipe": str(recipe),
            "float accuracy": f"{accuracy} after {len(self.history)} epochs",
        }
        whole = lower(
            self.network(),
            dataset.shape,
            name=recipe.architecture,
            mean=dataset.mean,
            std=dataset.std,
            classes=dataset.classes,
            metadata=metadata,
        )
        pruning = recipe.pruning()
        return remove_channels(whole) if pruning is not None and pruning.what == "channels" else whole

    def restore(
        self,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler,
        companion: nn.Module | None = None,
    ) -> None:
        """Put weights, momentum and scale back, so that training goes on as if it had never stopped."""
        if self.scaler:
            scaler.load_state_dict(dict(self.scaler))
        _put_back(network, self.weights, self.momentum, optimizer)
        if companion is not None:
            _put_back(companion, _under(self.companion, "weights/"), _under(self.companion, "momentum/"), optimizer)

    def require(self, recipe: Recipe, path: Path) -> None:
        """Refuse to go on with another recipe. Checkpoints of before name the runs beside them as they were given."""
        kept = recipe.beside(path.parent)
        differences = [
            f"{key} {getattr(self.recipe, key)!r} there, {getattr(recipe, key)!r} here"
            for key in Recipe.__struct_fields__
            if getattr(self.recipe, key) not in (getattr(kept, key), getattr(recipe, key))
        ]
        if differences:
            raise ConfigError(f"{path}: belongs to another run ({'; '.join(differences)}); choose another folder")


def _put_back(
    module: nn.Module, weights: Mapping[str, Tensor], momentum: Mapping[str, Tensor], optimizer: torch.optim.Optimizer
) -> None:
    load_weights(module, weights)
    for name, parameter in module.named_parameters():
        if name in momentum:
            optimizer.state[parameter]["momentum_buffer"] = momentum[name].to(parameter.device)


def _tensors(module: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Weights and momentum of a module, as a file names them."""
    tensors = {f"weights/{name}": tensor.contiguous() for name, tensor in module.state_dict().items()}
    for name, parameter in module.named_parameters():
        if (buffer := optimizer.state[parameter].get("momentum_buffer")) is not None:
            tensors[f"momentum/{name}"] = buffer.contiguous()
    return tensors


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def save_checkpoint(
    path: Path,
    recipe: Recipe,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    history: Sequence[Mapping[str, float]],
    companion: nn.Module | None = None,
) -> None:
    """Write a checkpoint; the previous one stays whole until the new one is complete."""
    tensors = _tensors(network, optimizer)
    if companion is not None:
        tensors |= {f"companion/{name}": tensor for name, tensor in _tensors(companion, optimizer).items()}
    parts = {"recipe": msgspec.to_builtins(recipe), "scaler": scaler.state_dict(), "history": list(history)}
    metadata = {name: json.dumps(part) for name, part in parts.items()}
    content = safetensors.torch.save(tensors, metadata)
    with write_atomically(path) as file:
        file.write(content)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises
    ------
    NetworkError
        For a file that is damaged or not a checkpoint of this package.
    """
    what = "not a checkpoint, or damaged"
    tensors, metadata = read_safetensors(path, what, NetworkError)
    with parsing(str(path), what, NetworkError):
        recipe = msgspec.json.decode(metadata["recipe"], type=Recipe)
        scaler = msgspec.json.decode(metadata.get("scaler", "{}"), type=dict[str, int | float])
        history = msgspec.convert(json.loads(metadata["history"]), History)  # JSON as it was written: NaN is a number there
        if missing := [key for row in history for key in SHOWN if key not in row]:
            raise ValueError(f"a row of its history lacks {missing[0]}")

    parts = (_under(tensors, f"{part}/") for part in ("weights", "momentum", "companion"))
    weights, momentum, companion = parts
    return Checkpoint(recipe, weights, momentum, scaler, history, companion)


def load_run(path: str, recipe: Recipe, key: str) -> Checkpoint:
    """The checkpoint of another run, named by its folder or its file, of the same images and classes as this recipe's.

    Raises
    ------
    ConfigError
        For a file that is not there, and a run on other images or classes; the message begins with `key`.
    """
    file = Path(path) / FILE if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise ConfigError(f"{key}: no file {file}; name the folder of a training run, or its {FILE}")
    try:
        found = load_checkpoint(file)
    except NetworkError as error:
        raise ConfigError(f"{key}: {error}; name the folder of a training run, or its {FILE}") from None
    theirs, ours = found.recipe.dataset(), recipe.dataset()
    if theirs.shape != ours.shape:
        raise ConfigError(f"{key}: {path} takes images {theirs.shape}, data {recipe.data} has {ours.shape}")
    if theirs.classes != ours.classes:
        what = f"{len(theirs.classes)} classes of {found.recipe.data}, not the {len(ours.classes)} of {recipe.data}"
        raise ConfigError(f"{key}: {path} tells apart the {what}; choose a run on the same classes")
    return found
