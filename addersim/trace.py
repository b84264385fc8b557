"""Trace: the facts of a run, or of a walk over shapes. Operations, work, words and ranges; never joules."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, get_args

from addersim.arithmetic.datapaths import DATAPATHS
from addersim.arithmetic.geometry import Geometry, Pair
from addersim.arithmetic.multiplier import MultiplierPrice
from addersim.arithmetic.ops import OPERATIONS, OpCounts, sum_by_key, sum_counts
from addersim.errors import NetworkError
from addersim.format_quantity import compact, first_of
from addersim.inputs.text import did_you_mean
from addersim.tabular import Row, Tabular, layer_rows
from addersim.toggles import Toggles
from addersim.totals import Totals, largest_live
from addersim.zeros import Zeros

__all__ = [
    "GROUPS", "Convention", "LayerTrace", "MatrixWork", "Observed", "Operand", "TapOperands", "Trace", "Zeros",
    "find_convention",
]  # fmt: skip

Convention = Literal["hardware", "paper"]


GROUPS = (2, 4, 8, 16)
"""Weights of a group, in the order of a filter's sum, of which hardware may skip those that are zero."""


def find_convention(name: str) -> Convention:
    """The convention of a name. Raises NetworkError where there is none."""
    known: dict[str, Convention] = {one: one for one in get_args(Convention)}
    if name not in known:
        raise NetworkError(f"convention: {name!r} is not one of {', '.join(known)}{did_you_mean(str(name), known)}")
    return known[name]


@dataclass(frozen=True, slots=True)
class MatrixWork:
    """A window layer as matrix products, for one image: `groups` products of (pixels x window) by (window x filters).

    Attributes
    ----------
    pixels
        Output pixels (height x width), M in the systolic literature.
    window
        Taps of one output (kernel height x width x input channels of a group), K.
    filters
        Output channels of a group, N.
    groups
        Number of such products.
    geometry, image
        How the window moves, and over how many rows and columns of input pixels: what a dataflow needs that keeps rows of the
        image together. None where only the product is known.
    kept
        Taps of one output that are stored and computed where hardware skips zero weights; None: all of the window.
    """

    pixels: int
    window: int
    filters: int
    groups: int = 1
    geometry: Geometry | None = None
    image: Pair | None = None
    kept: int | None = None

    @property
    def m(self) -> int:
        """Rows of the inputs and of the sums in a matrix product (GEMM): `pixels`."""
        return self.pixels

    @property
    def k(self) -> int:
        """Rows of the weights, and taps of a sum: `window`, or what is kept of it."""
        return self.window if self.kept is None else self.kept

    @property
    def n(self) -> int:
        """Columns of the weights and of the sums: `filters`."""
        return self.filters

    @property
    def weights(self) -> int:
        """Weights of all groups."""
        return self.k * self.n * self.groups

    @property
    def padded(self) -> float:
        """Of all taps, those that meet padding; 0 where the geometry is not known."""
        if self.geometry is None or self.image is None:
            return 0.0
        inside = 1.0
        for axis, outputs in enumerate(self.geometry.output_size(*self.image)):
            inside *= self.geometry.taps_inside(axis, self.image[axis]) / (outputs * self.geometry.kernel[axis])
        return 1.0 - inside

    def batched(self, images: int) -> MatrixWork:
        """The products of a number of images: the rows of all under each other."""
        return self if images == 1 else replace(self, pixels=self.pixels * images)

    @property
    def taps(self) -> int:
        """Terms that are computed and summed for one image, padded ones included."""
        return self.m * self.k * self.n * self.groups


class Operand(NamedTuple):
    """A stream of words of one width that a layer reads or writes for one image (weights: for any number of images).

    Attributes
    ----------
    words, bits
        How many, and their width.
    coded_bits
        What a word takes in DRAM, on average, where hardware codes runs of zeros; None: its width.
    """

    words: int
    bits: int
    coded_bits: float | None = None

    @property
    def size_bits(self) -> int:
        """All words together."""
        return self.words * self.bits


class TapOperands(NamedTuple):
    """Operands of a window layer's taps as a processing element takes them, less their zero points.

    Attributes
    ----------
    input_bits, weight_bits
        Widths, as stored.
    input_signed
        Whether inputs have a sign.
    """

    input_bits: int
    weight_bits: int
    input_signed: bool


@dataclass(frozen=True, slots=True)
class Observed:
    """What a bit-true run saw in one layer, over all its images.

    Attributes
    ----------
    minimum, maximum
        Extremes of the layer's exact results, in codes, before overflow handling: for a window layer the final sums.
    overflowed
        Outputs that saturated or wrapped.
    outputs
        Outputs in all.
    bits_needed
        Smallest two's-complement width that holds both extremes: the accumulator that would have been enough.
    """

    minimum: int
    maximum: int
    overflowed: int
    outputs: int
    bits_needed: int


@dataclass(frozen=True, slots=True)
class LayerTrace:
    """Facts of one integer layer, for one image.

    Attributes
    ----------
    name, kind
        The layer's name in the program and its kind (``window``, ``affine``, ...).
    datapath
        Name of the circuit, window layers only.
    operations
        What is billed under the trace's convention.
    inputs
        One operand for each stored value that the layer reads; a word that streams in from a `fused` layer is none.
    output
        The words that it writes. A window layer writes accumulator words.
    weights
        Stored constants (weights, or the multipliers, addends and shifts of an affine layer).
    work
        The matrix product of a window layer; None elsewhere.
    operand_bits
        Width of a window layer's operands on its datapath, which may be more than that of either; None elsewhere.
    tap_operands
        A window layer's operands at a processing element; None elsewhere, and where only the product is known.
    accumulator_bits
        Width of the accumulator of a window or average-pooling layer; None elsewhere.
    output_format
        The output's number format, as printed.
    observed
        What a run saw; None where only shapes were walked.
    fused
        True where the output stays in the pipeline: its only reader takes each word as it is produced, so that it is
        never stored (a window layer into its batch norm, a batch norm into its ReLU, and so on).
    sources
        For each of `inputs`, the index in `Trace.layers` of the layer that wrote it, -1 for the network's own input. Empty
        where each layer reads the one before it.
    left_out
        Products of an operation that no layer computes, 0 where they are not known; None where everything is counted.
    weights_shared
        True where a layer before it stores the same weights.
    zeros
        For each of `inputs` the zeros that a run saw in it; empty where only shapes were walked.
    output_zeros
        The zeros that a run saw in the stored output; None where it is fused, or only shapes were walked.
    gated_taps
        Taps whose circuit does not switch, where hardware gates those of zeros: `operations` has the others alone.
    nonzero
        For each size in `GROUPS`, the most weights of a group that are not zero. Known of multiplying layers with zeros; else
        empty.
    toggles
        What the operands of a window layer's taps do at the elements of a machine; None where nobody measured it
        (`addersim.hardware.activity`).
    multiplier
        What is known of the circuit whose products a table gives; None where layers multiply exactly or not at all.
    """

    name: str
    kind: str
    operations: OpCounts
    inputs: tuple[Operand, ...]
    output: Operand
    weights: Operand = field(default=Operand(0, 0))
    datapath: str | None = None
    work: MatrixWork | None = None
    accumulator_bits: int | None = None
    output_format: str = ""
    observed: Observed | None = None
    fused: bool = False
    sources: tuple[int, ...] = ()
    operand_bits: int | None = None
    left_out: int | None = None
    weights_shared: bool = False
    nonzero: tuple[tuple[int, int], ...] = ()
    zeros: tuple[Zeros, ...] = ()
    output_zeros: Zeros | None = None
    gated_taps: int = 0
    multiplier: MultiplierPrice | None = None
    toggles: Toggles | None = None
    tap_operands: TapOperands | None = None

    def __post_init__(self) -> None:
        if len(self.zeros) not in (0, len(self.inputs)):
            raise NetworkError(f"layer {self.name}: zeros of {len(self.zeros)} operands; it reads {len(self.inputs)}")
        if self.work is not None and self.operand_bits is None:
            raise NetworkError(f"layer {self.name}: matrix work without operand_bits, the width of its operands")

    @property
    def zero_taps(self) -> float | None:
        """Share of a window layer's taps that meet a zero or padding, as if zeros lay evenly; None where no run saw them."""
        if self.work is None or not self.zeros:
            return None
        padded = self.work.padded
        return padded + (1 - padded) * self.zeros[0].share

    def to_dict(self) -> Row:
        """Plain values: what is counted of the layer, for one image."""
        return {
            "name": self.name,
            "kind": self.kind,
            "datapath": self.datapath,
            "taps": self.work.taps if self.work else 0,
            "operations": self.operations.by_operation(),
            "operations_by_bits": _by_bits(self.operations),
            "output_format": self.output_format,
            "accumulator_bits": self.accumulator_bits,
            "weight_words": self.weights.words,
            "weight_bits": self.weights.bits,
        }


@dataclass(frozen=True, slots=True, repr=False)
class Trace(Tabular):
    """Facts of a program, layer by layer, for one image.

    Attributes
    ----------
    name
        The network's name.
    convention
        ``hardware``: every operation that runs. ``paper``: two additions, or a multiplication and an addition, a tap and
        everything else free.
    layers
        In execution order.
    images
        Number of images behind `LayerTrace.observed`; 0 where only shapes were walked.

    Examples
    --------
    >>> from addersim import count, load_network, quantize
    >>> trace = count(quantize(load_network("lenet5-adder"), None))
    >>> trace
    <Trace lenet5-adder, one image, convention hardware: taps 417k, operations 1.71M>
    >>> print(trace)  # doctest: +ELLIPSIS
    lenet5-adder, one image, convention hardware
    layer       kind         taps  operations
    conv1       l1-2a     117,600  353k sub, 118k mux
    ...
    taps 417k, operations 1.71M
    >>> trace.to_dict()["operations"]["mul"] == int(trace.to_frame()["mul"].sum())
    True
    """

    name: str
    convention: Convention
    layers: tuple[LayerTrace, ...]
    images: int = 0

    @property
    def operations(self) -> OpCounts:
        """Operations of all layers, for one image."""
        return sum_counts(layer.operations for layer in self.layers)

    @property
    def taps(self) -> int:
        """Taps of all window layers, for one image."""
        return sum(layer.work.taps for layer in self.layers if layer.work)

    @property
    def left_out(self) -> tuple[LayerTrace, ...]:
        """Operations that no layer computes: nothing of them is counted or billed."""
        return tuple(layer for layer in self.layers if layer.left_out is not None)

    def totals(self, parameters: int | None = None) -> Totals:
        """Taps, stored words and what must be held at one time, for one image; trained values where the caller knows them."""
        macs: dict[str, int] = {}
        for name, taps in self.taps_by_datapath().items():
            arithmetic = DATAPATHS[name].arithmetic.name
            macs[arithmetic] = macs.get(arithmetic, 0) + taps
        reads = [
            [source + 1 for source in layer.sources] or [place] * len(layer.inputs) for place, layer in enumerate(self.layers)
        ]
        image = next(
            (one.inputs[read.index(0)].size_bits for one, read in zip(self.layers, reads, strict=True) if 0 in read), 0
        )
        bits = [image, *(0 if layer.fused else layer.output.size_bits for layer in self.layers)]
        weights = sum(layer.weights.size_bits for layer in self.layers if not layer.weights_shared)
        in_bytes = [-(-size // 8) for size in (weights, sum(bits), largest_live(bits, reads))]
        return Totals(macs, parameters, *in_bytes)

    def taps_by_datapath(self) -> dict[str, int]:
        """Taps by circuit, for one image."""
        return sum_by_key((layer.datapath, layer.work.taps) for layer in self.layers if layer.work and layer.datapath)

    def to_dict(self) -> Row:
        """Plain values, ready for JSON: what is counted, for one image."""
        return {
            "network": self.name,
            "convention": self.convention,
            "images": 1,
            "operations": self.operations.by_operation(),
            "operations_by_bits": _by_bits(self.operations),
            "taps": self.taps,
            "taps_by_datapath": self.taps_by_datapath(),
            "left_out": {layer.name: layer.left_out for layer in self.left_out},
            "totals": self.totals().to_dict(),
            "layers": [layer.to_dict() for layer in self.layers],
        }

    def to_rows(self) -> list[Row]:
        """One row a layer, for one image; each operation in a column of its own."""
        rows = layer_rows(self.to_dict(), ("network", "convention"))
        counts = ({op: layer.operations.total(op) for op in OPERATIONS} for layer in self.layers)
        return [row | numbers for row, numbers in zip(rows, counts, strict=True)]

    def _title(self) -> str:
        return f"{self.name}, one image, convention {self.convention}"

    def _figures(self) -> dict[str, str]:
        return {"taps": compact(self.taps), "operations": compact(self.operations.total())} | self.left_out_in_words()

    def left_out_in_words(self) -> dict[str, str]:
        """What is not counted, by name and share, for tables; empty where everything is."""
        if not self.left_out:
            return {}
        products = sum(layer.left_out or 0 for layer in self.left_out)
        shown = [layer.name for layer in self.left_out]
        share = f", {products / (products + self.taps):.1%} of all products" if products else ""
        return {"left out": f"{first_of(shown)}{share}"}

    def _lines(self) -> list[Row]:
        return [
            {
                "layer": layer.name,
                "kind": layer.datapath or layer.kind,
                "taps": layer.work.taps if layer.work else 0,
                "operations": ", ".join(f"{compact(times)} {op}" for op, times in layer.operations.by_operation().items()),
            }
            for layer in self.layers
        ]


def _by_bits(counts: OpCounts) -> dict[str, int]:
    return {f"{op}{bits}": number for (op, bits), number in counts.items()}
