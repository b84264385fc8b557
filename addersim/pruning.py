"""Pruning of a lowered network: channels that are constant, or that nothing needs, are taken out of it, exactly.

A channel is *constant* where one number stands at all its places for every image: behind a multiplier of zero, an all-zero
filter of a linear arithmetic, or anything pointwise of constants. A window that reads a constant c adds the same to each of
its sums, ``sum term(c, w)``: in ``l1`` that is ``-sum |c - w|``, for which a zero costs as much as any number. It goes into
the window's bias, and the channel and its weights go. That is exact where the window does not pad, and for c = 0 where it
does, since a padded place is a zero itself.

Which channels stay is a fixed point. A window needs all of its inputs that are not such constants; the outputs of the network
are needed. What works channel by channel has the same channels before and after, a sum or product those of all its inputs: a
channel that a shortcut adds goes only where it is constant on both sides. Layers that mix channels otherwise (softmax, norms
over channels, shuffles, groups of several channels, weights that two layers share) keep all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from msgspec.structs import replace

from addersim.arithmetic.arithmetics import ARITHMETICS
from addersim.errors import NetworkError
from addersim.layers import (
    Add,
    Affine,
    AnyLayer,
    AveragePool,
    Clip,
    Concat,
    Interpolate,
    MaxPool,
    Move,
    Product,
    Relu,
    Shape,
    Table,
    Window,
)
from addersim.layers.base import Array
from addersim.network import INPUT, MISSING, WEIGHTS, Network, unread

__all__ = ["Channels", "prunable", "remove_channels", "with_zero_channels"]

_CHANNELWISE = (Affine, Relu, Clip, Table, MaxPool, AveragePool, Interpolate, Add, Product)
"""Layers whose output channel k depends on channel k of what they read alone."""
Channels = Mapping[str, Array]
"""For some layers, by name, a truth value for each of their output channels."""


def remove_channels(network: Network) -> Network:
    """The network without channels that are constant or unused; its scores are the same, to rounding in float.

    Raises
    ------
    NetworkError
        For a network without weights, and where nothing of a layer's outputs is left.
    """
    if network.metadata.get(WEIGHTS) == MISSING:
        raise NetworkError(f"network {network.name}: its weights are missing; there is nothing to prune by")
    constants = _constants(network)
    kept = _kept(network, constants)
    for name, stay in kept.items():
        if not stay.any():
            raise NetworkError(
                f"layer {name}: all its {stay.size} outputs are constant or unused; nothing would be left of it"
            )
    shapes = network.shapes()
    return replace(network, layers=tuple(_without(layer, kept, constants, shapes) for layer in network.layers))


def with_zero_channels(network: Network, zeros: Channels) -> Network:
    """The network with some channels of affine layers, or of linear windows, set to zero, by the layers' names."""
    return replace(
        network, layers=tuple(_zeroed(layer, zeros[layer.name]) if layer.name in zeros else layer for layer in network.layers)
    )


def prunable(network: Network) -> dict[str, int]:
    """Number of channels of each layer whose channels go, one by one, where they are set to zero; by name.

    They are the last of the affine layers that alone read a window, one behind the other, and linear windows without.
    """
    found: dict[str, int] = {}
    for layer in network.layers:
        if isinstance(layer, Window) and len(layer.weights) > 1:
            place = _last_affine(network, layer)
            if place is not layer or ARITHMETICS[layer.arithmetic].linear:
                first = np.arange(len(layer.weights)) == 0  # all at once would make constants of what else reads them
                changed = with_zero_channels(network, {place.name: first})
                if not _kept(changed, _constants(changed))[layer.name][0]:
                    found[place.name] = first.size
    return found


def _last_affine(network: Network, window: Window) -> AnyLayer:
    """The last of a chain of affine layers behind a window, each the only reader of the one before; or the window."""
    last: AnyLayer = window
    for layer in network.layers:
        if last.name in layer.inputs:
            readers = [one for one in network.layers if last.name in one.inputs]
            if len(readers) > 1 or not isinstance(layer, Affine):
                return last
            last = layer
    return last


def _zeroed(layer: AnyLayer, zero: Array) -> AnyLayer:
    if isinstance(layer, Affine):
        both = (np.where(zero, 0.0, np.broadcast_to(one, zero.size)) for one in (layer.multiplier, layer.addend))
        multiplier, addend = both
        return replace(layer, multiplier=multiplier, addend=addend)
    assert isinstance(layer, Window)
    weights = np.where(zero[:, None, None, None], np.float32(0), layer.weights)
    return replace(layer, weights=weights, bias=None if layer.bias is None else np.where(zero, np.float32(0), layer.bias))


def _sources(layer: AnyLayer, shapes: Mapping[str, Shape]) -> list[Array] | None:
    """For each value that a layer reads, the channel of it that shares the fate of each output channel, -1 for none.

    None for a layer that mixes channels.
    """
    given = [shapes[name][0] for name in layer.inputs]
    outputs = shapes[layer.name][0]
    if isinstance(layer, _CHANNELWISE):
        return [np.arange(outputs) if size == outputs else np.zeros(outputs, np.int64) for size in given]
    if isinstance(layer, Concat):
        starts, places = np.cumsum([0, *given[:-1]]), np.arange(outputs)
        ends = zip(starts, given, strict=True)
        return [np.where((places >= start) & (places < start + size), places - start, -1) for start, size in ends]
    if isinstance(layer, Window) and 1 < layer.groups == given[0]:
        return [np.arange(outputs) // (outputs // layer.groups)]
    if isinstance(layer, Move) and not layer.steps and _flattens(layer, shapes):
        return [np.arange(outputs) // (outputs // given[0])]
    return None


def _flattens(layer: Move, shapes: Mapping[str, Shape]) -> bool:
    """Whether a reshape lays the channels one behind the other, or leaves them what they are."""
    before, after = shapes[layer.inputs[0]], shapes[layer.name]
    return after[0] % before[0] == 0


def _constants(network: Network) -> dict[str, Array]:
    """The number that each channel of each value is, NaN where it is none."""
    shapes = network.shapes()
    found = {INPUT: np.full(shapes[INPUT][0], np.nan)}
    for layer in network.layers:
        found[layer.name] = _constant(layer, [found[name] for name in layer.inputs], shapes)
    return found


def _constant(layer: AnyLayer, inputs: list[Array], shapes: Mapping[str, Shape]) -> Array:
    known = _is_constant(layer, inputs, shapes)
    if not known.any():
        return np.full(known.size, np.nan)
    values = layer.run(*(_image(np.nan_to_num(one), shapes[name]) for one, name in zip(inputs, layer.inputs, strict=True)))
    flat = values.reshape(-1, known.size).astype(np.float64)
    return np.where(known & (flat == flat[0]).all(0), flat[0], np.nan)


def _is_constant(layer: AnyLayer, inputs: list[Array], shapes: Mapping[str, Shape]) -> Array:
    """Whether a channel is constant inside the image; towards its edges it may still be another number."""
    outputs, sources = shapes[layer.name][0], _sources(layer, shapes)
    if isinstance(layer, Window):
        given = _foldable(layer, inputs[0])
        found: Array = np.full(outputs, given.all()) if sources is None else given[sources[0]]
        return found | ~layer.weights.any((1, 2, 3)) if ARITHMETICS[layer.arithmetic].linear else found
    if sources is None:
        return np.zeros(outputs, bool)
    varies = [np.isnan(one[source]) & (source >= 0) for one, source in zip(inputs, sources, strict=True)]
    found = np.asarray(~np.any(varies, axis=0))
    if isinstance(layer, Affine):
        found |= layer.multiplier == 0
    if isinstance(layer, Product):
        found |= np.any([one[source] == 0 for one, source in zip(inputs, sources, strict=True)], axis=0)
    return found


def _image(channels: Array, shape: Shape) -> Array:
    """One image, channels last, of a number a channel."""
    return np.ascontiguousarray(np.broadcast_to(channels.astype(np.float32), (1, *shape[1:], shape[0])))


def _foldable(window: Window, constants: Array) -> Array:
    """Whether what a window adds up of each input channel is a constant of each filter."""
    pads = any((*window.padding, *(window.far_padding or (0, 0))))
    return (constants == 0) if pads else ~np.isnan(constants)


def _kept(network: Network, constants: Channels) -> dict[str, Array]:
    """Which channels of each value stay."""
    shapes = network.shapes()
    shared = {layer.shared for layer in network.layers if isinstance(layer, Window) and layer.shared}
    kept = {name: np.zeros(shape[0], bool) for name, shape in shapes.items()}
    kept[INPUT][:] = True
    for name in unread(network.layers):
        kept[name][:] = True
    links: list[tuple[str, str, Array]] = []
    for layer in network.layers:
        sources = _sources(layer, shapes)
        if isinstance(layer, Window) and layer.groups == 1 and not (layer.shared or layer.name in shared):
            kept[layer.inputs[0]] |= ~_foldable(layer, constants[layer.inputs[0]])
        elif sources is None or (isinstance(layer, Window) and (layer.shared or layer.name in shared)):
            for name in (*layer.inputs, layer.name):
                kept[name][:] = True
        else:
            links += [(name, layer.name, source) for name, source in zip(layer.inputs, sources, strict=True)]
    return _spread(kept, links)


def _spread(kept: dict[str, Array], links: list[tuple[str, str, Array]]) -> dict[str, Array]:
    """The smallest sets that hold those given and agree along all links."""
    changed = True
    while changed:
        changed = False
        for before, after, source in reversed(links):
            real = source >= 0
            needed = kept[before].copy()
            np.logical_or.at(needed, source[real], kept[after][real])
            wanted = kept[after].copy()
            wanted[real] |= needed[source[real]]
            changed |= bool((needed != kept[before]).any() or (wanted != kept[after]).any())
            kept[before], kept[after] = needed, wanted
    return kept


def _without(layer: AnyLayer, kept: Channels, constants: Channels, shapes: Mapping[str, Shape]) -> AnyLayer:
    """A layer of the channels that stay."""
    stay, inputs = kept[layer.name], kept[layer.inputs[0]]
    if isinstance(layer, Affine) and layer.multiplier.size > 1 and not stay.all():
        trained = None if layer.trained is None else layer.trained * int(stay.sum()) // stay.size
        return replace(layer, multiplier=layer.multiplier[stay], addend=layer.addend[stay], trained=trained)
    if isinstance(layer, Table) and layer.slopes is not None and layer.slopes.size > 1:
        return replace(layer, slopes=layer.slopes[stay])
    if isinstance(layer, Window) and layer.groups > 1 and not stay.all():
        return _window(layer, layer.weights[stay], layer.bias, stay, groups=int(inputs.sum()))
    if isinstance(layer, Window) and layer.groups == 1 and not (stay.all() and inputs.all()):
        lost = _term_sums(layer, constants[layer.inputs[0]], ~inputs)
        bias = layer.bias if lost is None else lost if layer.bias is None else layer.bias + lost
        return _window(layer, layer.weights[stay][:, inputs], bias, stay)
    if isinstance(layer, Move) and not inputs.all():
        target = (int(stay.sum()), *shapes[layer.name][1:])
        return replace(layer, target=(-1,) if layer.target == (-1,) else target)
    return layer


def _window(layer: Window, weights: Array, bias: Array | None, stay: Array, **changes: Any) -> Window:
    bias = None if bias is None else bias[stay].astype(np.float32)
    return replace(layer, weights=np.ascontiguousarray(weights), bias=bias, **changes)


def _term_sums(layer: Window, constants: Array, gone: Array) -> Array | None:
    """What the input channels that go add to each sum of a window; None for nothing."""
    if not gone.any():
        return None
    weights = layer.weights[:, gone].astype(np.float64)
    sums: Array = ARITHMETICS[layer.arithmetic].term(constants[gone][None, :, None, None], weights).sum((1, 2, 3))
    return sums if sums.any() else None
