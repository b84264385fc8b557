"""Rewrites of a float network that change no result and make it fit for integers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

import numpy as np
from msgspec.structs import replace

from addersim.arithmetic.arithmetics import ARITHMETICS, Arithmetic
from addersim.layers import Add, Affine, AnyLayer, AveragePool, MaxPool, Move, Shape, Softmax, Table, Window
from addersim.layers.base import Array
from addersim.layers.move import Permute
from addersim.network import INPUT, Network, unread

__all__ = ["clip_weights", "fold_batch_norm", "pair_windows", "scale_channels", "split_log_softmax", "without_final_softmax"]

SUFFIX = ".requantize"


def without_final_softmax(network: Network) -> Network:
    """The network without a softmax of its scores at the end: hardware chooses the largest score, which is the same one."""
    *before, last = network.layers
    read = {name for layer in before for name in layer.inputs}
    whole = before and isinstance(last, Softmax) and len(network.shapes()[last.name]) == 1
    if not whole or last.inputs[0] == INPUT or last.inputs[0] in read or len(unread(network.layers)) > 1:
        return network
    return without_final_softmax(replace(network, layers=tuple(before)))


def split_log_softmax(network: Network) -> Network:
    """Logarithms of softmax inside a network as steps that hardware has: ``d - log(sum(exp(d)))`` with ``d = x - max(x)``."""
    shapes = network.shapes()
    result: list[AnyLayer] = []
    for layer in network.layers:
        split = isinstance(layer, Softmax) and layer.log and layer.axis == 0
        result.extend(_log_softmax(layer.name, layer.inputs[0], shapes[layer.name]) if split else [layer])
    return replace(network, layers=tuple(result))


def _log_softmax(name: str, source: str, shape: Shape) -> list[AnyLayer]:
    rest = shape[1:]
    target = (math.prod(rest), 1, shape[0])
    steps = (Permute((*range(1, len(shape)), 0)),) if rest else ()

    def over_channels(what: str, given: str, pool: AnyLayer) -> list[AnyLayer]:
        before = Move(name=f"{name}.{what}.input", inputs=(given,), target=target, steps=steps)
        return [before, pool, Move(name=f"{name}.{what}", inputs=(pool.name,), target=(1, *rest))]

    largest = MaxPool(name=f"{name}.maximum", inputs=(f"{name}.largest.input",))
    total = AveragePool(name=f"{name}.total", inputs=(f"{name}.sum.input",), divisor=1)
    return [
        *over_channels("largest", source, largest),
        Add(name=f"{name}.distance", inputs=(source, f"{name}.largest"), subtract=True),
        Table(name=f"{name}.exp", inputs=(f"{name}.distance",), function="exp"),
        *over_channels("sum", f"{name}.exp", total),
        Table(name=f"{name}.log", inputs=(f"{name}.sum",), function="log"),
        Add(name=name, inputs=(f"{name}.distance", f"{name}.log"), subtract=True),
    ]


def pair_windows(network: Network) -> tuple[Network, dict[str, str]]:
    """Give every window one affine layer that alone reads it and carries its bias; merge affine layers that follow each other.

    The affine is what hardware does between the wide sum and the next layer's narrow codes: multiply, add, shift.

    Returns
    -------
    network
        With the same scores to float rounding.
    twins
        The original layer for which each of its layers stands; none for windows, whose sums later rewrites scale or shift.
    """
    layers = _move_biases(_merge_affines(_insert_affines(network.layers)))
    twins = {layer.name: layer.name.removesuffix(SUFFIX) for layer in layers if not isinstance(layer, Window)}
    return replace(network, layers=layers), twins


def _readers(layers: Iterable[AnyLayer]) -> dict[str, list[AnyLayer]]:
    found: dict[str, list[AnyLayer]] = {}
    for layer in layers:
        found.setdefault(layer.name, [])
        for name in layer.inputs:
            found.setdefault(name, []).append(layer)
    return found


def _only_reader(readers: Mapping[str, list[AnyLayer]], name: str) -> Affine | None:
    """The affine that alone reads a value, if that is how it is."""
    found = readers[name]
    return found[0] if len(found) == 1 and isinstance(found[0], Affine) else None


def _insert_affines(layers: tuple[AnyLayer, ...]) -> tuple[AnyLayer, ...]:
    """An identity after each window that no affine alone reads."""
    readers = _readers(layers)
    bare = {one.name for one in layers if isinstance(one, Window) and _only_reader(readers, one.name) is None}
    result: list[AnyLayer] = []
    for layer in layers:
        result.append(replace(layer, inputs=tuple(name + SUFFIX if name in bare else name for name in layer.inputs)))
        if layer.name in bare:
            name = layer.name + SUFFIX
            result.append(Affine(name=name, inputs=(layer.name,), multiplier=np.ones(1), addend=np.zeros(1)))
    return tuple(result)


def _merge_affines(layers: tuple[AnyLayer, ...]) -> tuple[AnyLayer, ...]:
    """One affine, under the last one's name, for each chain of them."""
    readers = _readers(layers)
    done: dict[str, AnyLayer] = {}
    for layer in layers:
        source = done.get(layer.inputs[0])
        if isinstance(layer, Affine) and isinstance(source, Affine) and _only_reader(readers, source.name):
            del done[source.name]
            done[layer.name] = layer.after(source)
        else:
            done[layer.name] = layer
    return tuple(done.values())


def _move_biases(layers: tuple[AnyLayer, ...]) -> tuple[AnyLayer, ...]:
    """Windows without bias; the affine after each adds it, times its own multiplier."""
    biases = {layer.name: layer.bias for layer in layers if isinstance(layer, Window) and layer.bias is not None}
    result: list[AnyLayer] = []
    for layer in layers:
        if isinstance(layer, Window):
            result.append(replace(layer, bias=None, shared=None))  # what follows may change each alone
        elif isinstance(layer, Affine) and layer.inputs[0] in biases:
            bias = biases[layer.inputs[0]].astype(np.float64)
            multiplier, addend = np.broadcast_arrays(layer.multiplier, layer.addend + layer.multiplier * bias)
            result.append(replace(layer, multiplier=multiplier.copy(), addend=addend.copy()))
        else:
            result.append(layer)
    return tuple(result)


def _pairs(network: Network, wanted: Callable[[Arithmetic], bool]) -> Iterable[tuple[Window, Affine]]:
    """Each window of some arithmetics with the affine that reads it."""
    windows = {
        layer.name: layer for layer in network.layers if isinstance(layer, Window) and wanted(ARITHMETICS[layer.arithmetic])
    }
    for layer in network.layers:
        if isinstance(layer, Affine) and layer.inputs[0] in windows:
            yield windows[layer.inputs[0]], layer


def _exchange(network: Network, pairs: Iterable[tuple[Window, Array, Affine, Array, Array]]) -> Network:
    """New weights for windows, and a new multiplier and addend for the affine after each."""
    new: dict[str, AnyLayer] = {}
    for window, weights, affine, multiplier, addend in pairs:
        both = np.broadcast_arrays(multiplier, addend)
        new[window.name] = replace(window, weights=weights.astype(np.float32))
        new[affine.name] = replace(affine, multiplier=both[0].copy(), addend=both[1].copy())
    return replace(network, layers=tuple(new.get(layer.name, layer) for layer in network.layers))


def fold_batch_norm(network: Network) -> Network:
    """Move the multiplier of the affine after each ``mac`` window into its weights; what is not linear stays.

    So does what stands behind weights of few values: they would leave them.
    """
    return _exchange(
        network,
        (
            (window, window.weights * affine.multiplier[:, None, None, None], affine, np.ones(1), affine.addend)
            for window, affine in _pairs(network, lambda one: one.linear and one.codec.uniform)
        ),
    )


def scale_channels(network: Network, scales: Mapping[str, Array]) -> Network:
    """Divide each filter of linear windows by its own scale, and let the following affine multiply by it.

    Parameters
    ----------
    scales
        By window name, shape ``(filters,)``, all positive.
    """
    return _exchange(
        network,
        (
            (window, window.weights / scale[:, None, None, None], affine, affine.multiplier * scale, affine.addend)
            for window, affine in _pairs(network, lambda one: one.linear)
            for scale in (scales[window.name],)
        ),
    )


def clip_weights(network: Network, ranges: Mapping[str, tuple[float, float]]) -> Network:
    """Clip the weights of ``l1`` windows to the range of their input and move what is lost into the following addend.

    Exact: ``|x - w| = |x - clip(w)| + |w - clip(w)|`` for every x in the range, padded zeros included (AdderNet 2.0,
    DAC 2024).

    Parameters
    ----------
    ranges
        By window name: smallest and largest value that the input's format holds; zero lies between.
    """

    def clipped() -> Iterable[tuple[Window, Array, Affine, Array, Array]]:
        for window, affine in _pairs(network, lambda one: one.exact_clip):
            weights = np.clip(window.weights.astype(np.float64), *ranges[window.name])
            lost = np.abs(window.weights - weights).sum(axis=(1, 2, 3))
            yield window, weights, affine, affine.multiplier, affine.addend - affine.multiplier * lost

    return _exchange(network, clipped())
