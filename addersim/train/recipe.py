"""Recipe: everything that a training run depends on, from a TOML study, with single values overridden."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import torch
from msgspec import Meta

from addersim.config import make_record, parse_toml, resolve_text, toml_value
from addersim.datasets.own_set import dataset_of
from addersim.datasets.records import Dataset
from addersim.errors import ConfigError
from addersim.inputs.limits import EPOCHS, IMAGE_SIDE, IMAGES, NORM_BATCHES, SEED, TRAINING_BATCH
from addersim.inputs.text import did_you_mean
from addersim.train.architectures.layers import Ends, Shortcut
from addersim.train.models import ARCHITECTURES, KNOWN, check_shortcut
from addersim.train.nn import LAYERS, Gradient
from addersim.train.pruning import Pruning, read_pruning
from addersim.train.rate import Rate

__all__ = ["Recipe", "load_recipe"]

NORM_BATCHES_DEFAULT = 20
Positive = Annotated[float, Meta(gt=0, le=1e6)]
NotNegative = Annotated[float, Meta(ge=0, le=1e6)]
Share = Annotated[float, Meta(ge=0, le=1)]


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A training run.

    Attributes
    ----------
    architecture
        A key of `addersim.train.models.ARCHITECTURES`, which takes images of that size.
    data
        A key of `addersim.datasets.DATASETS`, or a file or folder of your own (a folder a class, or an .npz).
    resize
        Height and width to which the pictures of such a folder are scaled by their shorter side, and cut to the centre.
    epochs, batch
        Passes over the training images, and images in a step.
    rate
        Learning rate at the start; it falls to zero as a half cosine, constant within an epoch.
    momentum, weight_decay
        Of the stochastic gradient descent, on every parameter.
    adder_rate, eta, fixed_factor
        Per-layer learning rate of adder filters, see `addersim.train.rate.AdderRate`.
    gradient
        Gradient of the adder filters: ``full`` or ``sign``.
    shortcut
        What residual blocks add: ``plain``, their input, or ``shift``, that times a power of two, learned block by block.
    anneal
        Epochs in which p of ``-sum |X - F|^p`` falls from 2 to 1, see `addersim.train.annealing`; 0 for none, and fewer than
        `epochs`, for the last ones train the adder network itself.
    ends
        First layer and classifier of an adder network; None takes the architecture's default.
    augment
        ``crop-flip``: pad by 4 pixels, crop at random, mirror every other image at random. ``none``: images as they are.
    precision
        ``float32``; or ``bfloat16`` or ``float16`` (with a scaled gradient) where torch's autocast admits it. Adder layers
        sum in float32 either way.
    norm_batches
        Training batches on which batch norm's statistics are taken anew before each evaluation, see
        `addersim.train.statistics`; 0 keeps the running ones. None takes 20 where layers do more than multiply, for their sums
        move faster than running statistics follow, and 0 elsewhere. No step of the training depends on it.
    seed
        Of the weights, the order of images and the augmentation.
    limit
        Number of images of either split to use, from the first on; None takes all.
    teacher
        Folder, or checkpoint, of a run on the same data whose scores are learned too; under ``pkkd`` where the teacher starts.
    distill
        ``logits`` (what None means where there is a teacher) or ``pkkd``: see `addersim.train.distillation`.
    temperature, distill_weight, feature_weight
        By which scores are softened; share of the loss that is the teacher's; weight of the features' distance.
    start
        Folder, or checkpoint, of a run of the same architecture on the same data whose weights are the first ones.
    prune
        ``channels:S``, ``weights:S`` or ``N:M``: what of those weights is zero and stays so, see `addersim.train.pruning`.
    """

    architecture: str
    data: str
    epochs: Annotated[int, EPOCHS.meta] = 400
    batch: Annotated[int, TRAINING_BATCH.meta] = 256
    rate: Positive = 0.1
    momentum: Annotated[float, Meta(ge=0, lt=1)] = 0.9
    weight_decay: NotNegative = 5e-4
    adder_rate: Rate = "adaptive"
    eta: Positive = 0.2
    fixed_factor: Positive = 100.0
    gradient: Gradient = "full"
    shortcut: Shortcut = "plain"
    anneal: Annotated[int, Meta(ge=0)] = 0
    ends: Ends | None = None
    augment: Literal["none", "crop-flip"] = "none"
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    norm_batches: Annotated[int, NORM_BATCHES.meta] | None = None
    seed: Annotated[int, SEED.meta] = 1
    limit: Annotated[int, IMAGES.meta] | None = None
    teacher: str | None = None
    distill: Literal["logits", "pkkd"] | None = None
    temperature: Positive = 4.0
    distill_weight: Share = 0.9
    feature_weight: NotNegative = 1.0
    start: str | None = None
    prune: str | None = None
    resize: Annotated[int, IMAGE_SIDE.meta] | None = None

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            near = did_you_mean(self.architecture, ARCHITECTURES)
            raise ConfigError(f"architecture: {self.architecture!r} is not known; known: {KNOWN}{near}")
        found, given = ARCHITECTURES[self.architecture], self.dataset().shape
        if not found.takes(given):
            raise ConfigError(
                f"architecture {self.architecture} takes images of {found.images()}, data {self.data} has {given}"
            )
        if self.distill == "logits" and self.teacher is None:
            raise ConfigError("distill logits: needs a teacher, the folder of a training run: teacher=FOLDER")
        if self.distill == "pkkd" and found.layers.arithmetic not in LAYERS:
            allowed = ", ".join(f"-{one}" for one in LAYERS)
            raise ConfigError(f"distill pkkd: is for architectures in {allowed}; found {self.architecture}")
        check_shortcut(self.architecture, self.shortcut)
        if self.anneal and found.layers.arithmetic != "adder":
            raise ConfigError(f"anneal: is for architectures in -adder; found {self.architecture}")
        if self.anneal >= self.epochs:
            raise ConfigError(f"anneal: {self.anneal} of {self.epochs} epochs; needs fewer, for the last ones train at p = 1")
        if self.pruning() is not None and self.start is None:
            raise ConfigError("prune: needs the trained run whose weights are pruned: start=FOLDER")

    def dataset(self) -> Dataset:
        """The images to learn."""
        return dataset_of(self.data, self.resize)

    def pruning(self) -> Pruning | None:
        """What is pruned."""
        return None if self.prune is None else read_pruning(self.prune)

    def half(self) -> torch.dtype | None:
        """The type of torch's autocast; None for float32."""
        return {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(self.precision)

    def twin(self) -> str:
        """The multiplying network of the same architecture."""
        return f"{self.architecture.rpartition('-')[0]}-conv"

    def network(self) -> dict[str, Any]:
        """What `addersim.train.models.build` takes of it, but for the seed."""
        dataset = self.dataset()
        options = {"classes": len(dataset.classes), "input_shape": dataset.shape, "ends": self.ends, "gradient": self.gradient}
        return {"name": self.architecture, "shortcut": self.shortcut, **options}

    def batches_for_norms(self) -> int:
        """`norm_batches`, or its default for this architecture."""
        if self.norm_batches is not None:
            return self.norm_batches
        return 0 if ARCHITECTURES[self.architecture].layers.multiplies(end=False) else NORM_BATCHES_DEFAULT

    def beside(self, folder: str | Path) -> Recipe:
        """The recipe as it is kept in a run's folder: runs in folders beside that one are named from it, ``../NAME``.

        So they are the same when all of them are moved together, and a network does not depend on where it was trained.
        """
        parent = os.path.dirname(os.path.abspath(folder))
        given = {key: os.path.abspath(path) for key in ("teacher", "start") if (path := getattr(self, key)) is not None}
        near = {key: path for key, path in given.items() if os.path.dirname(path) == parent}
        return msgspec.structs.replace(self, **{key: f"../{os.path.basename(path)}" for key, path in near.items()})

    def __str__(self) -> str:
        """The values as ``addersim train`` takes them, key=value."""
        return " ".join(f"{key}={value}" for key, value in msgspec.structs.asdict(self).items() if value is not None)


def load_recipe(study: str, changes: Iterable[str] = ()) -> Recipe:
    """Read a recipe from a bundled study or a TOML file.

    Parameters
    ----------
    study
        Name of a bundled study, or path of a file.
    changes
        Single values in the form ``key=value``, which replace the study's.

    Raises
    ------
    ConfigError
        For a study that is not found, and for keys or values that a `Recipe` does not admit.

    Examples
    --------
    >>> load_recipe("lenet5-fashion-mnist", ["architecture=lenet5-conv", "epochs=2"]).epochs
    2
    """
    _, where, text = resolve_text(study, "studies", ".toml", "study")
    recipe = parse_toml(text, Recipe, where)
    values: dict[str, Any] = {}
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals:
            raise ConfigError(f"{change!r} is not key=value; keys: {', '.join(Recipe.__struct_fields__)}")
        values[key.strip()] = toml_value(value.strip())
    if not values:
        return recipe
    return make_record({**msgspec.to_builtins(recipe), **values}, Recipe, "options")
