"""The proof of a lowering: source and network run on the same images, and the first layer that differs is named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from addersim.errors import LoweringError
from addersim.frontends.flow import Flow
from addersim.images import Images, channels_last, look_up
from addersim.layers.move import rearrange
from addersim.network import INPUT, Network, walk

__all__ = [
    "IN_DOUBLE",
    "NOT_CHECKED",
    "PROOF",
    "TOLERANCE",
    "Agreement",
    "Source",
    "batches",
    "compare",
    "first_difference",
    "made_up_images",
    "nchw",
    "network_values",
    "prove",
    "values_on_source",
]

Array = np.ndarray[Any, Any]
Source = Callable[[Array], Sequence[Array]]

PROOF = "proof"
"""Key of the network's notes under which the result of the comparison stands."""
NOT_CHECKED = "not checked"

TOLERANCE = 1e-4
"""Largest difference that rounding may make, of the largest value."""
ZERO = 1e-6
"""Largest difference where all values are zero, but for rounding."""
IN_DOUBLE = 1e-7
"""Largest difference, of the largest value, that rounding may make in float64: far below what any mistake makes."""
BATCHES = (1, 2)


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far a network is from its source.

    Attributes
    ----------
    difference
        Largest difference of outputs, of the largest value; where all are zero, as it is.
    images
        Number of images.
    silent
        Whether all outputs were zero, so that their equality says nothing of the layers before them.
    """

    difference: float
    images: int
    silent: bool = False

    def __str__(self) -> str:
        return f"largest difference {self.difference:.1e} of the largest value, {self.images} images"


def made_up_images(network: Network, seed: int = 0) -> Array:
    """Images that fill the declared range, float32 and normalised: a few, some of them out of the ordinary."""
    numbers = np.random.default_rng(seed)
    shape = (sum(BATCHES), *network.input_shape)
    if network.preprocessing_known:
        by_channel = (1, -1, *[1] * (len(network.input_shape) - 1))
        mean, std = (np.asarray(one).reshape(by_channel) for one in (network.mean, network.std))
        return np.asarray((numbers.random(shape) - mean) / std, np.float32)
    return numbers.standard_normal(shape, np.float32)


def nchw(network: Network, images: Images) -> Array:
    """Images as the source takes them: normalised float32, channels first."""
    if images.dtype != np.uint8:
        return images
    return np.ascontiguousarray(np.moveaxis(look_up(images, network.preprocessing.levels(network.input_shape)), -1, 1))


def prove(
    network: Network, source: Source, outputs: Sequence[str], images: Images, tolerance: float = TOLERANCE
) -> Agreement | str:
    """Run source and network on images, in batches of several sizes.

    Parameters
    ----------
    source
        Its outputs for normalised images, channels first.
    outputs
        The layer that gives each.
    tolerance
        Largest difference that is let pass, of the largest value.

    Returns
    -------
    How far they are apart, or, where that is too far, what was found.

    Raises
    ------
    LoweringError
        Where the source gives NaN or infinite values, or values of other shapes.
    """
    if not len(images):
        raise LoweringError(f"{network.name}: no images to run it on beside its source; give at least one")
    worst, silent, count = 0.0, True, 0
    for given in batches(network, images):
        count += len(given)
        wanted = source(given)
        if not all(np.isfinite(one).all() for one in wanted):
            raise LoweringError(f"{network.name}: the source itself gives NaN or infinite values for its images")
        found = network_values(network, given, outputs)
        for name, one in zip(outputs, wanted, strict=True):
            if one.shape != found[name].shape:
                return f"output {name!r} has shape {found[name].shape[1:]} and the source gives {one.shape[1:]}"
            worst, silent = max(worst, compare(one, found[name])), silent and not one.any()
            if worst > tolerance:
                return f"output {name!r} differs by {worst:.1e} of the largest value in a batch of {len(given)}"
    return Agreement(worst, count, silent)


def batches(network: Network, images: Images) -> Iterator[Array]:
    """Images as `nchw` gives them, in batches of several sizes; a single one comes again in a batch of two."""
    if len(images) == 1:
        images = np.concatenate([images] * sum(BATCHES))
    start, sizes = 0, iter(BATCHES)
    while start < len(images):
        size = next(sizes, len(images) - start)
        yield nchw(network, images[start : start + size])
        start += size


def compare(wanted: Array, found: Array) -> float:
    """Largest difference, of the largest value; as it is, against `ZERO`, where no wanted value is beyond that."""
    largest = float(np.abs(wanted).max(initial=0.0))
    difference = float(np.abs(wanted.astype(np.float64) - found).max(initial=0.0))
    return difference / largest if largest > ZERO else difference * (TOLERANCE / ZERO)


def network_values(network: Network, given: Array, names: Iterable[str] | None = None) -> dict[str, Array]:
    """Values of layers by name, channels first; all of them without `names`. Images in float64 give values in float64."""
    wanted = None if names is None else set(names)
    if given.dtype == np.float64:
        steps = walk(network.layers, channels_last(given), lambda layer, inputs: layer.run(*inputs))
    else:
        steps = network.values(np.ascontiguousarray(given, np.float32))
    with np.errstate(all="ignore"):  # what overflows is refused by the network itself
        return {name: np.moveaxis(value, -1, 1) for name, value in steps if wanted is None or name in wanted}


def values_on_source(network: Network, given: Array, source: Mapping[str, Array]) -> dict[str, Array]:
    """Values of layers by name, channels first, each on the source's own values of the layers before it, where it has them.

    So no layer's rounding reaches the next: a hundred layers in a row may multiply it by ten billion.
    """
    found = {INPUT: given}

    def run(layer: Any, inputs: list[Array]) -> Array:
        value = layer.run(*inputs)
        found[layer.name] = np.moveaxis(value, -1, 1)
        wanted = source.get(layer.name)
        return value if wanted is None or wanted.shape != found[layer.name].shape else channels_last(wanted)

    with np.errstate(all="ignore"):
        for _ in walk(network.layers, channels_last(given), run):
            pass
    return found


def first_difference(
    values: Mapping[str, Array], steps: Iterable[tuple[Flow, str, Array]], tolerance: float = TOLERANCE
) -> str | None:
    """Where source and network part: the layer, and what of the source it stands for.

    Parameters
    ----------
    values
        Of the network, by layer.
    steps
        In the order of the source: a flow, where it stands there, and the source's own value.
    """
    for flow, where, wanted in steps:
        if flow.layer not in values:
            continue
        found = rearrange(flow.steps, values[flow.layer])
        if found.shape != wanted.shape or compare(wanted, found) > tolerance:
            return f"the first layer that differs is {flow.layer!r}, for {where}"
    return None
