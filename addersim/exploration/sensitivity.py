"""Sensitivity: what narrower codes in one window layer cost and save, and the assignment of widths that this suggests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from msgspec.structs import replace

from addersim.arithmetic.multiplier import MultiplierTable
from addersim.datasets.records import Images
from addersim.errors import ConfigError, DataError
from addersim.exploration.search_journal import Measurements
from addersim.hardware import Accelerator, EnergyTable, estimate, load_accelerator, load_table
from addersim.layers import Window
from addersim.network import Network
from addersim.quantization.pipeline import prepare, quantize_prepared
from addersim.quantization.rules import LayerBits, Quantization
from addersim.simulation import count, simulate

__all__ = ["Judge", "Measured", "Operand", "ScanRow", "Widths", "greedy_chain", "scan", "uniform", "with_widths"]

Operand = Literal["weight_bits", "activation_bits"]
Widths = Mapping[tuple[str, Operand], int]
"""Bits of the weights and of the input of each window layer."""
OPERANDS: tuple[Operand, ...] = ("weight_bits", "activation_bits")


@dataclass(frozen=True, slots=True)
class Measured:
    """One assignment of widths, measured.

    Attributes
    ----------
    accuracy, loss_points
        On the measuring images, and how many points of a hundred it lies below the float network.
    agreement
        Share of images for which program and float network choose the same class.
    energy_pj
        Of one image.
    """

    accuracy: float
    loss_points: float
    agreement: float
    energy_pj: float


@dataclass(frozen=True, slots=True)
class ScanRow:
    """One layer's weights or input at a lower width, everything else at the highest."""

    layer: str
    operand: Operand
    bits: int
    measured: Measured


class Judge:
    """Measures assignments of widths; each only once.

    Parameters
    ----------
    network
        Trained network.
    images
        Training images with labels. The first `calibration` choose scales, the others measure: a narrow format that only fits
        the images that chose it is found out. No test image has a part.
    calibration
        Number of images that choose scales; half of them all where there are fewer than twice as many.
    rules
        Everything but the widths.
    accelerator, table
        As in `estimate`.
    multiplier
        Of multiplying layers, as in `quantize`.
    """

    def __init__(
        self,
        network: Network,
        images: Images,
        rules: Quantization,
        accelerator: Accelerator | str,
        table: EnergyTable | str,
        calibration: int = 256,
        multiplier: MultiplierTable | None = None,
    ) -> None:
        if len(images) < 2:
            raise DataError(
                f"{images.name}: {len(images)} training image; a search needs some to calibrate and some to measure"
            )
        labels = images.needed_labels("a search")
        self.network, self.rules, self.multiplier = network, rules, multiplier
        self.calibration = min(calibration, len(images) // 2)
        self.images = len(images) - self.calibration
        self._machine = accelerator if isinstance(accelerator, Accelerator) else load_accelerator(accelerator)
        self._prices = table if isinstance(table, EnergyTable) else load_table(table)
        self._prepared = prepare(network, images.pixels[: self.calibration], rules.fold_batch_norm)
        self._pixels, self._labels = images.pixels[self.calibration :], labels[self.calibration :]
        self._float = network.run(self._pixels).argmax(axis=1)
        self._known: dict[tuple[int, ...], Measured] = {}
        self._journal: Measurements | None = None

    def keep(self, journal: Measurements) -> None:
        """Take what an earlier search in the folder has measured, and keep there what this one measures."""
        self._journal = journal
        self._known |= {bits: Measured(**one) for bits, one in journal.known.items()}

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the window layers whose widths are sought: all, but for ends of a width of their own."""
        windows = tuple(layer.name for layer in self.network.layers if isinstance(layer, Window))
        if self.rules.ends_bits is None:
            return windows
        if len(windows) < 3:
            raise ConfigError(f"ends_bits {self.rules.ends_bits}: network {self.network.name} has no window between its ends")
        return windows[1:-1]

    @property
    def accuracy_float(self) -> float:
        """Accuracy of the float network on the measuring images."""
        return float((self._float == self._labels).mean())

    def measure(self, widths: Widths) -> Measured:
        """Accuracy and energy of an assignment."""
        key = tuple(widths[name, operand] for name in self.layers for operand in OPERANDS)
        if key not in self._known:
            program = quantize_prepared(self._prepared, with_widths(self.rules, widths), multiplier=self.multiplier)
            found = simulate(program, self._pixels, self._labels).predictions
            right = int((found == self._labels).sum())
            self._known[key] = measured = Measured(
                accuracy=right / self.images,
                loss_points=100.0 * (int((self._float == self._labels).sum()) - right) / self.images,
                agreement=float((found == self._float).mean()),
                energy_pj=estimate(count(program), self._machine, self._prices).energy_pj_per_image,
            )
            if self._journal:
                self._journal.note(key, asdict(measured))
        return self._known[key]


def uniform(layers: Sequence[str], bits: int) -> dict[tuple[str, Operand], int]:
    """The same width everywhere."""
    return {(name, operand): bits for name in layers for operand in OPERANDS}


def with_widths(rules: Quantization, widths: Widths) -> Quantization:
    """Rules with the widths of every window layer."""
    names = dict.fromkeys(name for name, _ in widths)
    layers = {
        name: LayerBits(weight_bits=widths[name, "weight_bits"], activation_bits=widths[name, "activation_bits"])
        for name in names
    }
    return replace(rules, layers=layers)


def scan(judge: Judge, bits: Sequence[int], progress: Callable[[], None] | None = None) -> list[ScanRow]:
    """Each window layer's weights and input alone at each lower width.

    Parameters
    ----------
    judge
        What measures.
    bits
        Widths, rising; the last one is that of everything else.
    progress
        Called after each row.
    """
    rows = []
    high = uniform(judge.layers, bits[-1])
    for layer, operand in high:
        for width in bits[:-1]:
            rows.append(ScanRow(layer, operand, width, judge.measure({**high, (layer, operand): width})))
            if progress:
                progress()
    return rows


def greedy_chain(rows: Sequence[ScanRow], start: Measured, bits: Sequence[int]) -> list[dict[tuple[str, Operand], int]]:
    """Assignments from the highest widths to the lowest, one step at a time, the cheapest step first.

    A step takes one operand to the next lower width. Its price is the share of images whose class it changes (which tells
    more than accuracy on as many images), over the energy that it saves; both as the scan saw them, layers taken as
    independent.

    Returns
    -------
    The uniform start and every assignment after it.
    """
    highest = bits[-1]
    seen = {(row.layer, row.operand, row.bits): row.measured for row in rows}
    widths = {(row.layer, row.operand): highest for row in rows}
    chain = [dict(widths)]

    def price(operand: tuple[str, Operand]) -> float:
        now = start if widths[operand] == highest else seen[*operand, widths[operand]]
        after = seen[*operand, bits[bits.index(widths[operand]) - 1]]
        harm = max(now.agreement - after.agreement, 0.0) + np.finfo(np.float64).eps
        saved = now.energy_pj - after.energy_pj
        return harm / saved if saved > 0 else np.inf

    while steps := [operand for operand, width in widths.items() if width != bits[0]]:
        chosen = min(steps, key=price)
        widths[chosen] = bits[bits.index(widths[chosen]) - 1]
        chain.append(dict(widths))
    return chain
