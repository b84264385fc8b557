"""Formats of values: which share one scale, how wide they are, with or without sign, and which scale holds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.arithmetic.arithmetics import ARITHMETICS
from addersim.arithmetic.fixed import FixedFormat, Overflow
from addersim.inputs.limits import BITS
from addersim.layers import Affine, Layer, Window
from addersim.network import INPUT, Network, unread
from addersim.quantization.asymmetric import (
    asymmetric_scale,
    may_have_zero_points,
    readers_of_zero_points,
    zero_point_of,
)
from addersim.quantization.bias_correction import MOST_CORRECTION
from addersim.quantization.calibration import Member, Sample, choose_scale
from addersim.quantization.output_errors import Reader, refine_scale
from addersim.quantization.rules import Quantization

__all__ = ["Wiring", "choose_formats", "own_scales", "scale_groups", "sum_step"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Wiring:
    """What the layers around a value say about its format: found in one walk over a network of paired windows.

    Attributes
    ----------
    unsigned
        Values that are never negative, whatever the image, or whose negatives nobody reads.
    quiet
        Values that only ReLU layers read, perhaps behind layers that pass codes on: what lies below zero makes no difference.
    sharing
        By value, the windows that read it and whose weights share its scale.
    narrowed
        By affine layer, itself and the window whose sums it narrows.
    """

    unsigned: frozenset[str]
    quiet: frozenset[str]
    sharing: Mapping[str, list[Window]]
    narrowed: Mapping[str, tuple[Affine, Window]]

    @classmethod
    def of(cls, network: Network, overflow: Overflow = "saturate", signed_input: bool = False) -> Wiring:
        """Of a network whose narrowing steps treat overflow so. Where they wrap, none of them is a ReLU: no value is quiet."""
        readers: dict[str, list[Layer]] = {}
        sharing: dict[str, list[Window]] = {}
        narrowed: dict[str, tuple[Affine, Window]] = {}
        windows: dict[str, Window] = {}
        for layer in network.layers:
            for name in layer.inputs:
                readers.setdefault(name, []).append(layer)
            if isinstance(layer, Window):
                windows[layer.name] = layer
                if ARITHMETICS[layer.arithmetic].shared_scale:
                    sharing.setdefault(layer.inputs[0], []).append(layer)
            elif isinstance(layer, Affine) and layer.inputs[0] in windows:
                narrowed[layer.name] = layer, windows[layer.inputs[0]]
        quiet = _quiet(network, readers) if overflow == "saturate" else frozenset()
        return cls(_unsigned(network, quiet, signed_input), quiet, sharing, narrowed)


def _quiet(network: Network, readers: Mapping[str, list[Layer]]) -> frozenset[str]:
    """Values of which nobody reads what lies below zero: last ones first, for readers may pass codes on to a ReLU."""
    found: set[str] = set()
    for name in (*(layer.name for layer in reversed(network.layers)), INPUT):
        reading = readers.get(name, ())
        if reading and all(one.cuts_negatives() or (one.PASSES_CODES and one.name in found) for one in reading):
            found.add(name)
    return frozenset(found)


def _unsigned(network: Network, quiet: frozenset[str], signed_input: bool) -> frozenset[str]:
    """Values that are held without sign; float images may be negative, where those of the calibration were.

    Layers that pass codes on do not clamp: their output has their input's sign.
    """
    found: set[str] = set()
    if INPUT in quiet or (not signed_input and all(mean <= 0 for mean in network.mean)):
        found.add(INPUT)
    for layer in network.layers:
        clamped = layer.name in quiet and not layer.PASSES_CODES
        if clamped or layer.is_never_negative(*(name in found for name in layer.inputs)):
            found.add(layer.name)
    return frozenset(found)


def scale_groups(network: Network, how: Quantization) -> list[tuple[str, ...]]:
    """Names of the values that share one scale, because layers between them only pass codes on."""
    return [group.names for group in _groups(network, how)]


def choose_formats(
    network: Network, wiring: Wiring, how: Quantization, samples: Mapping[str, Sample], readers: Mapping[str, list[Reader]]
) -> dict[str, FixedFormat]:
    """Format of every value but the wide sums of windows.

    A value without negatives is unsigned. So is one that only ReLU layers read: the clamp of its narrowing is the ReLU.
    Where a group holds both such values and signed ones (residual branches), the signed ones get one bit more at the same
    scale, so that the range that windows read is not halved.

    Parameters
    ----------
    network
        With one affine behind each window.
    wiring
        Of this network.
    how
        Bit widths and rules.
    samples
        What each value looks like on the calibration images.
    readers
        From `find_readers`; empty where scales are not refined.
    """
    formats: dict[str, FixedFormat] = {}
    own_layers = own_scales(network)
    around = readers_of_zero_points(network)
    for group in _groups(network, how):
        mixed = any(name in wiring.unsigned for name in group.names)
        members = {}
        for name in group.names:
            signed = name not in wiring.unsigned
            members[name] = Member(samples[name], min(group.bits + (mixed and signed), BITS.most), signed)
        own = [own_layers[name].own_scale(one.bits) for name, one in members.items() if name in own_layers]
        others = {name: one for name, one in members.items() if name not in own_layers}
        heard = [one for name, one in others.items() if name not in wiring.quiet]  # ReLU cuts what else the others hold
        found = choose_scale(heard or list(others.values()), how.calibration, how.percentile) if others else 0.0
        found = refine_scale(found, {name: FixedFormat(one.bits, one.signed) for name, one in others.items()}, readers, how)
        scale = max(found, *own) if own else found
        moved, low = how.zero_points and not own and may_have_zero_points(members, around, how), 0.0
        if moved:
            scale, low = asymmetric_scale(list(members.values()), how)
        scale = max(scale, _scale_for_weights(wiring, how, members))
        scale = max(scale, _scale_for_multipliers(wiring, how, formats, members))
        if how.power_of_two:
            scale = float(2.0 ** np.ceil(np.log2(scale)))
        held = {name: FixedFormat(one.bits, one.signed, scale) for name, one in members.items()}
        if moved:
            held = {name: replace(one, zero_point=zero_point_of(one, low)) for name, one in held.items()}
        formats |= held
    return formats


def own_scales(network: Network) -> dict[str, Layer]:
    """The layer from whose kind alone the range of a value follows, for values of which that is so, passed on or not."""
    found: dict[str, Layer] = {}
    for layer in network.layers:
        if layer.HAS_OWN_SCALE:
            found[layer.name] = layer
        elif layer.PASSES_CODES and all(name in found for name in layer.inputs):
            found[layer.name] = found[layer.inputs[0]]
    return found


@dataclass(frozen=True, slots=True)
class _Group:
    """Values that share one scale, because layers between them only pass codes on."""

    names: tuple[str, ...]
    bits: int


def _groups(network: Network, how: Quantization) -> list[_Group]:
    """Values by shared scale, in order, with the width that their window readers ask for (the widest where they differ).

    A window that reads signs alone gets them where nobody reads more: the choice of the largest among signs is one.
    """
    leader: dict[str, str] = {INPUT: INPUT}

    def find(name: str) -> str:
        while leader[name] != name:
            leader[name] = leader[leader[name]]  # halves the way for those who come after
            name = leader[name]
        return name

    wanted: dict[str, list[int]] = {}
    for layer in network.layers:
        if isinstance(layer, Window):
            wanted.setdefault(layer.inputs[0], []).append(how.activation_bits_of(layer.name, layer.arithmetic))
            continue
        for name in () if layer.PASSES_CODES else layer.inputs:
            wanted.setdefault(name, []).append(0)
        leader[layer.name] = layer.name
        for name in layer.inputs if layer.KEEPS_SCALE else ():
            leader[find(name)] = find(layer.name)
    groups: dict[str, list[str]] = {}
    for name in leader:
        groups.setdefault(find(name), []).append(name)
    shapes = network.shapes()
    scores = {find(name) for name in unread(network.layers) if len(shapes[name]) == 1}
    result = []
    for top, names in groups.items():
        asked = [bits for name in names for bits in wanted.get(name, [])]
        usual = how.output_bits if top in scores else how.activation_bits
        result.append(_Group(tuple(names), _widest(asked, usual)))
    return result


def _widest(asked: Sequence[int], usual: int) -> int:
    """Width for windows' wishes; 0 stands for a reader that takes any width, but not a sign in place of a number."""
    widest = max(asked, default=0)
    return usual if widest == 0 or (widest == 1 and 0 in asked) else widest


def _scale_for_weights(wiring: Wiring, how: Quantization, members: Mapping[str, Member]) -> float:
    """Smallest scale of an input at which weights that share it, unclipped, fit their codes."""
    needed = 0.0
    for name, member in members.items():
        for window in (one for one in wiring.sharing.get(name, ()) if not how.clips(one.arithmetic)):
            bits = window.stored_bits(how)
            largest = float(np.abs(window.weights).max())
            needed = max(needed, largest / FixedFormat(bits).maximum * 2.0 ** (bits - member.bits))
    return needed


def sum_step(window: Window, how: Quantization, source: FixedFormat) -> float:
    """Real value of one step of a window's sum: on the grid that both operands share, or with weights of scale one."""
    record = ARITHMETICS[window.arithmetic]
    if record.linear:
        return source.scale
    bits = window.stored_bits(how)
    return float((source.scale * min(1.0, 2.0 ** (source.bits - bits))) ** record.degree)


def _scale_for_multipliers(
    wiring: Wiring, how: Quantization, formats: Mapping[str, FixedFormat], members: Mapping[str, Member]
) -> float:
    """Smallest scale at which one step of a window's sum is no larger, in output codes, than the multiplier's port holds."""
    needed = 0.0
    for affine, window in (wiring.narrowed[name] for name in members if name in wiring.narrowed):
        bits = window.stored_bits(how)
        if (source := formats.get(window.inputs[0])) is None:  # a residual group's own branch: its scale moves along
            continue
        step: Array = np.array(sum_step(window, how, source))
        if (record := ARITHMETICS[window.arithmetic]).linear:
            step = step * np.abs(window.weights).max(axis=(1, 2, 3)) / record.codec.largest(bits)
        needed = max(needed, float(np.abs(affine.multiplier * step).max()) / (2 ** (how.multiplier_bits - 1) - 1))
    return needed * (MOST_CORRECTION if how.correction == "mean-variance" else 1.0)
