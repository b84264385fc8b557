"""Finetune: train a network on its own fixed-point datapath, from what quantisation after training gives."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from addersim.errors import ConfigError, FormatError, NetworkError, QuantizationError
from addersim.images import Images
from addersim.inputs.limits import EPOCHS, TRAINING_BATCH
from addersim.inputs.text import did_you_mean
from addersim.network import Network
from addersim.program import Program
from addersim.quantization.rules import Quantization
from addersim.train.data import crop_and_mirror, randomness
from addersim.train.distillation import soft_loss
from addersim.train.qat.floats import FloatNetwork
from addersim.train.qat.module import QuantisedNetwork
from addersim.train.qat.steps import layer_of
from addersim.train.rate import AdderRate, adder_filters

__all__ = ["STATISTICS_IMAGES", "Epoch", "finetune"]

Optimizer = Literal["adam", "sgd"]
Augment = Literal["none", "crop-flip"]
OPTIMIZERS: tuple[Optimizer, ...] = get_args(Optimizer)
AUGMENTATIONS: tuple[Augment, ...] = get_args(Augment)
MOMENTUM = 0.9
ADDER_ETA = 0.02
SCORED = 500
TEMPERATURE = 4.0
Labels = npt.NDArray[np.integer]

STATISTICS_IMAGES = 2048
"""Training images, the first ones, that choose formats, and on whose sums the constants behind windows are taken anew after an
epoch. On both occasions they are moved as in training: a network that saw cropped images normalises by theirs."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one pass over the images gave.

    Attributes
    ----------
    number
        From 1 on.
    loss, accuracy
        Means over the steps, as the program was at each.
    network, program
        What is trained so far, in float and on codes.
    """

    number: int
    loss: float
    accuracy: float
    network: Network
    program: Program


def finetune(
    network: Network,
    images: Images,
    labels: Labels,
    how: Quantization = Quantization(),  # noqa: B008  # frozen
    epochs: int = 3,
    *,
    rate: float = 1e-3,
    batch: int = 128,
    seed: int = 0,
    optimizer: Optimizer = "adam",
    distill: float = 0.0,
    augment: Augment = "none",
    device: torch.device | str = "cpu",
    progress: Callable[[int, int, float], None] | None = None,
    each_epoch: Callable[[Epoch], None] | None = None,
) -> tuple[Network, Program]:
    """Train a network on the codes that the simulator gives: quantisation-aware training.

    Widths and signs are those of `quantize`. Weights are trained, the multiply-adds behind windows, and step sizes: one for
    all values that share a scale and the adder weights on its grid, one a filter of multiplying layers. The optimizer's rate
    falls to zero as half a cosine.

    Parameters
    ----------
    network
        Trained network.
    images, labels
        Training images, as `Network.values` takes them, and their classes.
    how
        Bit widths and rules.
    epochs
        Passes over the images.
    rate
        Of the optimizer. Adam's is the first step of a weight, as a share of the largest that its codec holds, of a
        multiplier, as a share of itself, and of a step size, in octaves.
    batch
        Images in a step; fewer that remain at an epoch's end are left out.
    seed
        Of the order of images.
    optimizer
        ``adam``, or ``sgd``: with momentum 0.9, and `addersim.nn.AdderRate` for adder filters, with an eta of 0.02 of the
        largest weight.
    distill
        Share of the loss that is the distance from the float network's scores, softened by a temperature of 4.
    augment
        ``crop-flip``: pixels are padded by 4, cropped at random, and every other image is mirrored; the float network scores
        what comes of it. For networks that were trained so: others lose by it.
    device
        Where it is computed. A GPU computes the codes that the simulator does; what is returned lies on no device.
    progress
        Told after each step: steps done, steps in all, loss.
    each_epoch
        Told after each epoch. What it was given stays good when a later epoch fails.

    Returns
    -------
    network
        The float network that has the program's numbers.
    program
        The trained program: the same codes, layer by layer, as training saw.

    Raises
    ------
    ConfigError
        For images and labels that do not fit each other or the network, and numbers out of range.
    NetworkError
        Where training diverges: the message names step and layer. And where `quantize` refuses the network.

    Examples
    --------
    >>> import addersim
    >>> found = addersim.load_images("fashion-mnist-2000", split="train", limit=64)
    >>> rules = addersim.Quantization(weight_bits=3, activation_bits=3)
    >>> lenet = addersim.load_network("lenet5-conv")
    >>> network, program = finetune(lenet, found.pixels, found.labels, rules, epochs=1, batch=32)
    >>> program.run(found.pixels).shape
    (64, 10)
    """
    EPOCHS.check(epochs, "epochs")
    TRAINING_BATCH.check(batch, "batch")
    if not 0 < rate <= 1:
        raise ConfigError(f"rate: found {rate}, needs a number above 0 and up to 1")
    if not 0 <= distill <= 1:
        raise ConfigError(f"distill: found {distill}, needs a number in 0..1")
    _check_word(optimizer, "optimizer", OPTIMIZERS)
    _check_word(augment, "augment", AUGMENTATIONS)
    if augment != "none" and images.dtype != np.uint8:
        raise ConfigError(
            f"augment {augment}: images are {images.dtype}; needs pixels, which are uint8, for black to pad with"
        )
    if how.zero_points:
        raise QuantizationError(f"network {network.name}: zero_points: what is trained takes code 0 for zero; leave them out")
    _check_images(network, images, labels, batch)
    lessons = _Lessons(network, images, labels, batch, seed, distill, augment, torch.device(device))
    typical = lessons.typical()
    module = QuantisedNetwork(network, typical, how).to(device)
    learner = _learner(module, optimizer, rate)
    steps = len(labels) // batch
    for epoch in range(epochs):
        total = right = 0.0
        for step, (seen, wanted, goal) in enumerate(lessons.of(epoch), epoch * steps + 1):
            learner.param_groups[0]["lr"] = rate * 0.5 * (1 + math.cos(math.pi * (step - 1) / (epochs * steps)))
            _check_finite(module, step)
            with _formats_hold(step):
                scores = module(seen)
            loss = functional.cross_entropy(scores, wanted)
            if goal is not None:
                loss = (1 - distill) * loss + distill * soft_loss(scores, goal, TEMPERATURE)
            _step(module, learner, loss, step)
            total += loss.item()
            right += float((scores.argmax(1) == wanted).double().mean())
            if progress:
                progress(step, epochs * steps, loss.item())
        _check_finite(module, (epoch + 1) * steps)
        with _formats_hold((epoch + 1) * steps):
            found = module.trained(typical)
        if each_epoch:
            each_epoch(Epoch(epoch + 1, total / steps, right / steps, *found))
    return found


class _Lessons:
    """The batches of each epoch: images, their classes, and the float network's scores where these are learned too."""

    def __init__(
        self,
        network: Network,
        images: Images,
        labels: Labels,
        batch: int,
        seed: int,
        distill: float,
        augment: Augment,
        device: torch.device,
    ):
        self.images, self.labels, self.batch, self.seed, self.device = images, labels, batch, seed, device
        self.moved = augment == "crop-flip"
        self.teacher = FloatNetwork(network).to(device) if distill else None
        self.taught = self._scores(images) if self.teacher and not self.moved else None

    def of(self, epoch: int) -> Iterator[tuple[Images, Tensor, Tensor | None]]:
        """Those of an epoch, which follow from it and the seed; images that fill no batch are left out."""
        random = randomness(self.seed, epoch)
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.labels))
        for start in range(0, len(order) - self.batch + 1, self.batch):
            chosen = order[start : start + self.batch]
            seen = self._as_seen(self.images[chosen], random)
            wanted = torch.from_numpy(self.labels[chosen].astype(np.int64)).to(self.device)
            yield seen, wanted, self._goal(seen, chosen)

    def typical(self) -> Images:
        """The first images, as training sees them."""
        return self._as_seen(self.images[:STATISTICS_IMAGES], randomness(self.seed, 0))

    def _as_seen(self, images: Images, random: torch.Generator) -> Images:
        return crop_and_mirror(torch.tensor(images), random).contiguous().numpy() if self.moved else images

    def _goal(self, seen: Images, chosen: npt.NDArray[np.int64]) -> Tensor | None:
        """The teacher's scores of a batch: those made before, where it sees the same images in each epoch."""
        if self.teacher is None:
            return None
        return self._scores(seen) if self.taught is None else self.taught[chosen]

    @torch.no_grad()
    def _scores(self, images: Images) -> Tensor:
        """The teacher's scores, a part at a time."""
        assert self.teacher is not None
        return torch.cat([self.teacher(images[start : start + SCORED]) for start in range(0, len(images), SCORED)])


def _check_word(word: str, name: str, known: tuple[str, ...]) -> None:
    if word not in known:
        raise ConfigError(f"{name}: found {word!r}, needs one of {', '.join(known)}{did_you_mean(str(word), known)}")


def _check_images(network: Network, images: Images, labels: Labels, batch: int) -> None:
    where = f"network {network.name}"
    if labels.shape != (len(images),):
        raise ConfigError(f"{where}: {len(images)} images and labels of shape {labels.shape}; needs a label an image")
    if labels.dtype.kind not in "iu":
        raise ConfigError(f"{where}: labels are {labels.dtype}; needs whole numbers")
    if len(images) < batch:
        raise ConfigError(f"{where}: {len(images)} images are fewer than one batch of {batch}; give more, or a smaller batch")
    low, high, classes = labels.min(), labels.max(), network.outputs
    if low < 0 or high >= classes:
        raise ConfigError(f"{where}: labels {low}..{high}; its {classes} scores are of classes 0..{classes - 1}")


def _learner(module: nn.Module, name: Optimizer, rate: float) -> torch.optim.Optimizer:
    if name == "adam":
        return torch.optim.Adam(module.parameters(), rate)
    learner = torch.optim.SGD(module.parameters(), rate, MOMENTUM)
    if any(adder_filters(module)):
        learner.register_step_pre_hook(AdderRate(module, eta=ADDER_ETA))
    return learner


def _step(module: QuantisedNetwork, optimizer: torch.optim.Optimizer, loss: Tensor, step: int) -> None:
    """One step down the gradient."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    _check_finite(module, step)
    optimizer.step()
    module.project()


@contextmanager
def _formats_hold(step: int) -> Iterator[None]:
    """Tell constants that no format holds any more as what they are: signs of steps and weights that ran away."""
    try:
        yield
    except (FormatError, QuantizationError) as error:
        raise _diverged(step, str(error)) from None


def _check_finite(module: nn.Module, step: int) -> None:
    """Refuse numbers that are none any more: codes would hide them."""
    found = {
        (name, what): values.isfinite().all()
        for name, parameter in module.named_parameters()
        for what, values in (("trained values", parameter), ("gradient", parameter.grad))
        if values is not None
    }
    finite = torch.stack([*found.values()]).tolist()  # a GPU is asked once
    for (name, what), holds in zip(found, finite, strict=True):
        if not holds:
            raise _diverged(step, f"layer {layer_of(name)}: {what} beyond float32")


def _diverged(step: int, what: str) -> NetworkError:
    return NetworkError(f"step {step}: training diverged: {what}; what the last epoch gave is kept; take a smaller rate")
