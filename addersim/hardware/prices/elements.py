"""Energy of a tap in a whole processing element, by the toggles of its operands, or by the share of zeros among its inputs.

A table may know processing elements beside single operations: gates of a library that operands drove. Rows ``pe`` are lines,
``energy_pj - zero_pj * share``, for a datapath at a width, and may tell energy by toggles beside (`row.OF_TOGGLES`); rows
``layer`` are what one layer of one network took with its own operands. Where a table has either, the array is priced by it and
by nothing else: kernel, accumulator, and the operand registers and clock where the row contains them. The share of a layer's
zeros is the one that a run saw, padding included; else the one that the accelerator states, or `TYPICAL_ZEROS`, and a note
says so; an image is taken to hold none. Where the trace has the toggles of a layer in the machine's order (`tap_order`), and
the table energy by them, these come before zeros alone.

A multiplier is quiet where an input is zero, |x - w| is not: that is what a price of an operation cannot tell. Nor can zeros
tell what words that resemble each other save, such as those of a smooth image, zeros in runs, or weights that are held.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from addersim.arithmetic.datapaths import DATAPATHS
from addersim.errors import PriceError
from addersim.hardware.layer_cost import ArrayPrices, UnitEnergy
from addersim.hardware.prices.missing import WHAT_TO_DO
from addersim.hardware.prices.row import OPERAND_TOGGLES, ElementFigures
from addersim.hardware.prices.table import EnergyTable
from addersim.hardware.processing_array import SystolicArray
from addersim.toggles import Toggles
from addersim.trace import LayerTrace

__all__ = [
    "TYPICAL_ZEROS",
    "TapEnergy",
    "ZeroShare",
    "array_prices",
    "element_bits",
    "element_figures",
    "element_notes",
    "row_of_layer",
    "tap_energies",
    "toggle_energy",
    "zero_energy",
]


class ZeroShare(NamedTuple):
    """A share of zeros among the inputs of taps that nobody saw, and where it comes from."""

    share: float
    source: str


TYPICAL_ZEROS = ZeroShare(0.5, "activations under the taps of the bundled ResNet-20s at 8 bits: 0.46 adder, 0.53 multiplying")


class TapEnergy(NamedTuple):
    """Energy of a layer's tap that runs, the mean of all that do, and of one whose element rests."""

    tap: UnitEnergy
    idle_pj: float

    def energy_pj(self, layer: LayerTrace) -> float:
        """Energy of all taps of a layer, for one image."""
        assert layer.work is not None
        return (layer.work.taps - layer.gated_taps) * self.tap.energy_pj + layer.gated_taps * self.idle_pj


def row_of_layer(network: str, layer: str, datapath: str) -> str:
    """What a row ``layer`` is called: the operands are of that layer, and so is the circuit."""
    return f"{network}/{layer}/{datapath}"


def element_bits(layer: LayerTrace) -> int:
    """Width by which a table knows the element of a window layer: that of its wider operand, less zero points.

    Weights of few values come in codes of their own width: there it is the input's. Binary layers have one bit.
    """
    assert layer.datapath is not None
    record = DATAPATHS[layer.datapath].arithmetic
    if record.activation_bits is not None:
        return record.activation_bits
    if layer.tap_operands is None:
        widths = [operand.bits for operand in layer.inputs] or [layer.operand_bits or 0]
        return max(widths) if not record.codec.uniform else max(*widths, layer.weights.bits)
    widths = list(layer.tap_operands[:2])
    return max(widths) if record.codec.uniform else widths[0]


def tap_energies(
    network: str, layers: Sequence[LayerTrace], table: EnergyTable, stated: ZeroShare | None
) -> dict[str, TapEnergy]:
    """Energy of a tap of every window layer, by its name; empty under a table that knows no elements.

    Parameters
    ----------
    network
        The trace's name.
    layers
        All of them.
    table
        The prices.
    stated
        What the accelerator says of zeros that nobody saw.

    Raises
    ------
    PriceError
        The table knows elements, and not the one of a layer.
    """
    if not table.knows_elements:
        return {}
    windows = [layer for layer in layers if layer.work is not None]
    shares = {layer.name: _share(layer, layers, stated) for layer in windows}
    return {
        layer.name: _own(network, layer, table) or _by_toggles(layer, table) or _by_zeros(layer, table, shares[layer.name])
        for layer in windows
    }


SIGNLESS = "inputs have a sign, those of the table's row have none"
TREES = "priced by elements with an accumulator each, which a broadcast array's adder trees share"


def element_notes(
    array: SystolicArray, layers: Sequence[LayerTrace], table: EnergyTable
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What must be known of a whole element's price on an array that is made of something else, and of which layers."""
    windows = tuple(layer.name for layer in layers if layer.work is not None)
    return ((TREES, windows),) if table.knows_elements and array.broadcast is not None and windows else ()


def array_prices(
    network: str, layers: Sequence[LayerTrace], table: EnergyTable, stated: ZeroShare | None
) -> tuple[ArrayPrices, ...]:
    """What the array takes of every window layer, in pJ an image, by every way of pricing that the table has."""
    found = []
    for layer in layers if table.knows_elements else ():
        if layer.work is None:
            continue
        own = _own(network, layer, table)
        ways = {"constant": _constant(layer, table), "zero share": _zero_share_pj(layer, table, _share(layer, layers, stated))}
        moving = None if ways["zero share"] is None else _by_toggles(layer, table)
        ways |= {way: priced and priced.energy_pj(layer) for way, priced in (("toggles", moving), ("gates", own))}
        share = layer.zero_taps
        found.append(ArrayPrices(layer.name, share, {way: pj for way, pj in ways.items() if pj is not None}))
    return tuple(found)


def _constant(layer: LayerTrace, table: EnergyTable) -> float | None:
    try:
        return sum(number * table.price(*key) for key, number in layer.operations.items())
    except PriceError:
        return None


def _zero_share_pj(layer: LayerTrace, table: EnergyTable, share: tuple[float, str]) -> float | None:
    try:
        return _by_zeros(layer, table, share).energy_pj(layer)
    except PriceError:
        return None


def _own(network: str, layer: LayerTrace, table: EnergyTable) -> TapEnergy | None:
    """What the layer took with its own operands; None where no row says so."""
    found = table.own_layer(row_of_layer(network, layer.name, layer.datapath or ""), element_bits(layer))
    return None if found is None else TapEnergy(UnitEnergy(*found[:3]), found.idle_pj)


def element_figures(layer: LayerTrace, table: EnergyTable, style: str | None = None) -> ElementFigures:
    """What a table says of a window layer's element; of the default style, or of the one that is named.

    A table has elements of two operands of one width. A multiplier of two widths takes about what one of their mean takes, and
    between two rows lies halfway: its rows of gates are as many as one operand has bits, and as long as the other has.

    Raises
    ------
    PriceError
        The table says nothing of it; names the layer.
    """
    assert layer.datapath is not None
    record, operands = DATAPATHS[layer.datapath].arithmetic, layer.tap_operands
    signed = operands is not None and operands.input_signed
    widths, mean = {element_bits(layer)}, ""
    if operands is not None and operands[0] != operands[1] and record.codec.uniform and not record.shared_scale:
        both = sum(operands[:2])
        widths, mean = (
            {both // 2, (both + 1) // 2},
            f", operands of {operands[0]} and {operands[1]} bits as two of {both / 2:g}",
        )
    try:
        figures = _mean([table.element(layer.datapath, one, style, signed) for one in sorted(widths)], mean)
    except PriceError as error:
        raise PriceError(
            f"{error}; needed by layer {layer.name}: a table of elements prices no single operations there{WHAT_TO_DO}"
        ) from None
    unlike = signed and DATAPATHS[layer.datapath].multiplies and not table.tells_signs(layer.datapath, style)
    return figures._replace(note=f"{figures.note}; {SIGNLESS}") if unlike else figures


def _mean(found: Sequence[ElementFigures], words: str) -> ElementFigures:
    """The mean of the figures of one or two rows, and words that are put behind their rule."""
    first, last = found[0], found[-1]
    numbers = ("energy_pj", "zero_pj", "idle_pj", "accumulator_bits", "accumulator_pj")
    both = zip(first.by_toggles, last.by_toggles, strict=True) if len(first.by_toggles) == len(last.by_toggles) else ()
    toggles = tuple((one + other) / 2 for one, other in both)
    means: dict[str, Any] = {name: (getattr(first, name) + getattr(last, name)) / 2 for name in numbers}
    return first._replace(rule=first.rule + words, by_toggles=toggles, **means)


def _by_toggles(layer: LayerTrace, table: EnergyTable) -> TapEnergy | None:
    """What a tap takes by its toggles; None where nobody saw them all, or the table does not tell energy by them."""
    if layer.toggles is None or not (figures := element_figures(layer, table)).by_toggles:
        return None
    if len(layer.toggles.terms) < len(figures.by_toggles):
        return None
    energy, words = toggle_energy(figures, layer.toggles, layer.accumulator_bits)
    return TapEnergy(UnitEnergy(energy, f"{words}{figures.note}", figures.source), figures.idle_pj)


def _by_zeros(layer: LayerTrace, table: EnergyTable, zeros: tuple[float, str]) -> TapEnergy:
    figures = element_figures(layer, table)
    share, note = zeros
    energy, words = zero_energy(figures, share, layer.accumulator_bits)
    # A gated tap takes no more than the line has for one of zero: below a cycle of rest, gating would cost.
    resting = min(figures.idle_pj, max(figures.energy_pj - figures.zero_pj, 0.0))
    return TapEnergy(UnitEnergy(energy, f"{words}{note}{figures.note}", figures.source), resting)


def _share(layer: LayerTrace, layers: Sequence[LayerTrace], stated: ZeroShare | None) -> tuple[float, str]:
    """Share of zeros among the taps of one of some layers that run, and what must be known of it."""
    assert layer.work is not None
    seen = layer.zero_taps
    reads_image = layer.sources == (-1,) or (not layer.sources and layer is layers[0])
    known = ZeroShare(0.0, "an image") if reads_image else stated or TYPICAL_ZEROS
    padded = layer.work.padded
    share = seen if seen is not None else padded + (1 - padded) * known.share
    note = "" if seen is not None else f"; share of zeros taken as {known.share:g} ({known.source}): no run saw it"
    running = layer.work.taps - layer.gated_taps
    return (max(0.0, share * layer.work.taps - layer.gated_taps) / running if running else 0.0), note


def zero_energy(figures: ElementFigures, share: float, accumulator_bits: int | None) -> tuple[float, str]:
    """Energy of a tap at a share of zeros and an accumulator's width, and how it came about."""
    energy, words = figures.energy_pj - figures.zero_pj * share, figures.rule
    if figures.zero_pj:
        words += f", {figures.energy_pj:.4g} - {figures.zero_pj:.4g} pJ x {share:.3f} zeros"
    return _with_accumulator(figures, energy, words, accumulator_bits)


def toggle_energy(figures: ElementFigures, toggles: Toggles, accumulator_bits: int | None) -> tuple[float, str]:
    """Energy of a tap whose operands' bits change so often, and how it came about."""
    energy = sum(factor * term for factor, term in zip(figures.by_toggles, toggles.terms, strict=False))
    changes = f"{toggles.input_changes:.2f} input and {toggles.weight_changes:.2f} weight bits that change"
    words = f"{figures.rule}, {toggles.zeros:.3f} zeros, {changes}, {toggles.product_changes:.2f} products of bits"
    if len(figures.by_toggles) > len(OPERAND_TOGGLES):
        words += f", {toggles.sum_changes:.2f} bits of sums"
    return _with_accumulator(figures, energy, words, accumulator_bits)


def _with_accumulator(figures: ElementFigures, energy: float, words: str, accumulator_bits: int | None) -> tuple[float, str]:
    """With what an accumulator of another width than the row's takes; never less than an element that rests."""
    more = (accumulator_bits or figures.accumulator_bits) - figures.accumulator_bits if figures.accumulator_bits else 0
    if more and figures.accumulator_pj:
        energy += more * figures.accumulator_pj
        words += f", {more:+g} accumulator bits of {figures.accumulator_pj:.3g} pJ"
    return max(energy, figures.idle_pj), words
