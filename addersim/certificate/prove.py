"""Prove: the least width of every accumulator that no input overflows, and the input that overflows one bit less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np
import numpy.typing as npt

from addersim.arithmetic.fixed import bits_for
from addersim.arithmetic.geometry import Pair
from addersim.certificate.ranges import Ends, any_codes, box_of, codes_out, sums_out
from addersim.certificate.sums import Box, End, Sums, window_sums
from addersim.certificate.witness import Witness
from addersim.errors import QuantizationError, check_kind
from addersim.layers import AnyIntegerLayer, IntegerWindow
from addersim.network import INPUT, walk
from addersim.program import Program
from addersim.tabular import Row, Tabular, layer_rows

__all__ = ["Certificate", "LayerCertificate", "prove"]

_PARTS = MappingProxyType(
    {
        "input_codes": ("least_input_code", "largest_input_code"),
        "tap": ("tap_row", "tap_column", "tap_channel"),
        "output": ("output_row", "output_column"),
    }
)
"""Columns of what holds several numbers."""


@dataclass(frozen=True, slots=True, eq=False)
class LayerCertificate:
    """The width that a window layer's accumulator needs.

    Attributes
    ----------
    name, datapath
        The layer, and the circuit that it runs on.
    taps
        Of one output.
    input_codes
        Smallest and largest code of its inputs, over all channels.
    bits
        Least width, in two's complement, that no running sum of any filter leaves.
    register_bits, overflow
        The width that the layer has, and what it does on overflow.
    bits_bound
        The width that no weights of its format could overflow either.
    minimum, maximum
        Extremes of all running sums of all filters.
    filter_bits
        Least width of each filter, int64 ``(filters,)``.
    witness
        The input that takes a sum of some filter beyond one bit less: which filter, at which tap, how far. None where all sums
        are zero, whatever the input. Where `bits` is a bound, each of its codes may occur, and perhaps no image has them all.
    confirmed
        Whether the kernels found the witness to do so.
    """

    name: str
    datapath: str
    taps: int
    input_codes: Pair
    bits: int
    register_bits: int
    overflow: str
    bits_bound: int
    minimum: int
    maximum: int
    filter_bits: npt.NDArray[np.int64]
    witness: Witness | None
    confirmed: bool | None

    @property
    def narrower_filters(self) -> int:
        """Filters that fewer bits than the layer's would do for."""
        return int((self.filter_bits < self.bits).sum())

    @property
    def can_overflow(self) -> bool:
        """Whether the register that the layer has is narrower than it needs."""
        return self.register_bits < self.bits


@dataclass(frozen=True, slots=True, repr=False)
class Certificate(Tabular):
    """Accumulator widths of all window layers, as `prove` found them.

    Attributes
    ----------
    network
        Name of the network.
    claim
        ``exact``: some input of the layer overflows one bit less. ``bound``: fewer bits may do.
    layers
        One for each window layer, in order.

    Examples
    --------
    >>> from addersim import load_images, load_network, quantize
    >>> network, images = load_network("lenet5-conv"), load_images("fashion-mnist-2000", limit=50)
    >>> found = prove(quantize(network, images.pixels))
    >>> [(one.name, one.bits, one.bits_bound) for one in found.layers]
    [('conv1', 19, 20), ('conv2', 21, 24), ('fc1', 23, 25), ('fc2', 22, 23), ('fc3', 21, 23)]
    >>> found.layers[0].witness.sum, found.confirmed
    (-177517, '5 of 5')
    """

    network: str
    claim: Literal["exact", "bound"]
    layers: tuple[LayerCertificate, ...]

    @property
    def confirmed(self) -> str:
        """How many witnesses the kernels confirm, of how many there are."""
        shown = [layer.confirmed for layer in self.layers if layer.confirmed is not None]
        return f"{sum(shown)} of {len(shown)}"

    @property
    def title(self) -> str:
        """What is proved, in a line."""
        what = "no input overflows" if self.claim == "exact" else "no image overflows"
        return f"{self.network}: accumulator bits that {what} ({self.claim})"

    def to_dict(self) -> Row:
        """Plain values, ready for JSON, without the witnesses' codes."""
        plain = (
            *("name", "datapath", "taps", "input_codes", "bits", "register_bits", "overflow", "can_overflow", "bits_bound"),
            *("minimum", "maximum", "narrower_filters", "confirmed"),
        )
        reached = ("filter", "end", "tap", "output", "sum")
        return {
            "network": self.network,
            "claim": self.claim,
            "layers": [
                {key: getattr(layer, key) for key in plain}
                | {key: getattr(layer.witness, key, None) for key in reached}
                | {"filter_bits": layer.filter_bits.tolist()}
                for layer in self.layers
            ],
        }

    def to_rows(self) -> list[Row]:
        """One row a layer."""
        rows = layer_rows(self.to_dict(), ("network", "claim"))
        for row, layer in zip(rows, self.layers, strict=True):
            row |= {"filters": len(layer.filter_bits)}
            for field, parts in _PARTS.items():
                row |= dict(zip(parts, row.pop(field) or (None,) * len(parts), strict=True))
        return rows

    def table(self) -> list[Row]:
        """One row a layer, with the columns that people look at first."""
        return [
            {
                "layer": layer.name,
                "kind": layer.datapath,
                "bits": layer.bits,
                "has": layer.register_bits,
                "bound": layer.bits_bound,
                "filter": getattr(layer.witness, "filter", None),
                "tap": ",".join(map(str, layer.witness.tap)) if layer.witness else None,
                "sum": getattr(layer.witness, "sum", None),
                "fewer": layer.narrower_filters,
            }
            for layer in self.layers
        ]

    def save_witnesses(self, folder: str | Path) -> None:
        """Write each witness to a file of its own: ``codes``, the patch that the window sees, and ``about``, JSON text."""
        for place, layer in enumerate(self.layers):
            if layer.witness is not None:
                layer.witness.save(Path(folder), place, layer.name)

    def _title(self) -> str:
        return self.title

    def _figures(self) -> dict[str, str]:
        return {
            "widest": f"{max((layer.bits for layer in self.layers), default=0)} bits",
            "too narrow": f"{sum(layer.can_overflow for layer in self.layers)} of {len(self.layers)}",
            "confirmed": self.confirmed,
        }

    def _lines(self) -> list[Row]:
        return self.table()


def prove(program: Program, *, reachable: bool = False) -> Certificate:
    """Prove which accumulator widths no input overflows.

    A sum of a window has one term a tap, and each tap reads a code of its own: so its least and its greatest value over all
    inputs are those of its terms, added up. That holds of every running sum, in the order kernel row, kernel column, input
    channel, and makes the least width exact: one bit less overflows on the *witness*, a patch of the image that the kernels
    are run on to confirm it. Inputs of a layer are any codes of their format, at each place independently of the others; a
    ReLU with an upper bound and a clip narrow them, also through maxima, moves and joins. A tap in the padding reads the code
    of zero, and windows that stand partly in it are looked at like all others. A register that wraps may pass its ends on the
    way and come back; the width is one that no running sum leaves.

    Parameters
    ----------
    program
        Calibrated program.
    reachable
        Follow the ranges of codes through the layers before, channel by channel, from any image. Widths are then smaller and
        a *bound* for the whole network: no image overflows them, and perhaps none overflows one bit less, for the extremes
        of two channels need not come from one image.

    Raises
    ------
    QuantizationError
        For a program that was made without calibration images: its weights are not known.
    """
    check_kind(program, Program, "prove: program")
    if not program.calibrated:
        raise QuantizationError(f"program {program.name} was made without calibration images: its weights are not known")
    values = program.static_values()
    found: list[LayerCertificate] = []

    def run(layer: AnyIntegerLayer, inputs: Sequence[Ends]) -> Ends:
        output = values[layer.name]
        if not isinstance(layer, IntegerWindow):
            return codes_out(layer, output, inputs, reachable)
        box = box_of(inputs[0])
        sums = window_sums(layer, box, values[layer.inputs[0]].shape[1:])
        found.append(_certificate(layer, box, sums))
        return sums_out(layer, output, sums) if reachable else any_codes(output)

    for _ in walk(program.layers, any_codes(values[INPUT]), run):
        pass
    return Certificate(program.name, "bound" if reachable else "exact", tuple(found))


def _certificate(layer: IntegerWindow, box: Box, sums: Sums) -> LayerCertificate:
    minimum, maximum = int(sums.minimum.min()), int(sums.maximum.max())
    bits = bits_for(minimum, maximum)
    end: End = "minimum" if bits_for(minimum, 0) == bits else "maximum"
    filter_ = int(sums.minimum.argmin() if end == "minimum" else sums.maximum.argmax())
    position = sums.positions[(sums.minimum_at if end == "minimum" else sums.maximum_at)[filter_]]
    witness = Witness.of(layer, box, position, filter_, end) if minimum or maximum else None
    return LayerCertificate(
        name=layer.name,
        datapath=layer.datapath,
        taps=layer.weights[0].size,
        input_codes=(int(box.low.min()), int(box.high.max())),
        bits=bits,
        register_bits=layer.accumulator_bits(),
        overflow=layer.accumulator.overflow,
        bits_bound=layer.bits_bound(),
        minimum=minimum,
        maximum=maximum,
        filter_bits=np.array([bits_for(*ends) for ends in zip(sums.minimum.tolist(), sums.maximum.tolist(), strict=True)]),
        witness=witness,
        confirmed=None if witness is None else witness.confirmed(layer, bits),
    )
