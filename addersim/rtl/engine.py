"""An engine of programs whose window layers run through the Verilog, compiled: a third one beside the kernels and their twins.

A window and what narrows its sums, by multiply-add-shift or a rule of whole numbers, run in `ext/rtl` on an array; pooling
and narrowing on its own by `addersim.rtl.functions`; all else runs in the kernels. Hardware does not report the extremes of
exact sums nor which of them overflowed: those are the kernels', which run the layer too, and the values are the Verilog's.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from addersim import kernels
from addersim.arithmetic.arithmetics import ARITHMETICS, Arithmetic
from addersim.arithmetic.codecs import Codec
from addersim.arithmetic.fixed import FixedFormat, Overflow, Rounding, bits_for
from addersim.errors import FormatError
from addersim.kernels.checks import CODE_ENDS, FusedResult, WindowResult
from addersim.kernels.prepared import PreparedWindow, PreparedWindowAffine
from addersim.kernels.prepared_rescale import PreparedWindowRescale
from addersim.rtl.elements import CIRCUITS
from addersim.rtl.functions import CODE_BITS, CodeFunctions, narrowing, rule_constants
from addersim.rtl.layers import LayerConstants, compile_array
from addersim.rtl.shapes import ArrayDesign, LayerShape
from addersim.rtl.sources import PRODUCTS, product_words, sources_text
from addersim.rtl.tools import compiler, find_yosys

__all__ = ["rtl_engine"]

Array = npt.NDArray[Any]
Verilog = Mapping[str, str]

ROWS = COLUMNS = 8
"""Of the array that layers run on."""
_SUM_BITS = (32, 63)
"""Of registers that hold any sum: few widths, for each is compiled. Sums leave the array in words of 64 bits."""
_NO_CONSTANTS = np.zeros(1, np.int64)


@dataclass(frozen=True, slots=True)
class _Hardware:
    """Which array, with which circuit of an arithmetic that has several, of which Verilog."""

    rows: int
    columns: int
    circuits: Mapping[str, str]
    dataflow: Literal["output", "weight"]
    verilog: Verilog | None

    def prepare_window(self, kind: npt.DTypeLike, weights: Array, *, arithmetic: str, **how: Any) -> _Window:
        """As `addersim.kernels.prepare_window`."""
        usual = kernels.prepare_window(kind, weights, arithmetic=arithmetic, **how)
        if usual.products is None:
            return _Window.of(usual, self.circuits[arithmetic], self)
        sources = sources_text() if self.verilog is None else self.verilog
        return _Window.of(usual, "table", replace(self, verilog={**sources, PRODUCTS: product_words(usual.products)}))

    def prepare_window_affine(
        self,
        layer: _Window,
        multiplier: Array,
        addend: Array,
        shift: Array,
        *,
        output: FixedFormat,
        rounding: Rounding = "half-even",
        output_overflow: Overflow = "saturate",
        then: FixedFormat | None = None,
    ) -> _Narrowed:
        """As `addersim.kernels.prepare_window_affine`."""
        how: dict[str, Any] = {"output": output, "rounding": rounding, "output_overflow": output_overflow, "then": then}
        usual = kernels.prepare_window_affine(layer.usual, multiplier, addend, shift, **how)
        unit, low, high = narrowing(output, rounding, output_overflow, then)
        constants = LayerConstants(_NO_CONSTANTS, *usual.constants, 0, low, high)
        return _Narrowed(usual, replace(layer, design=replace(layer.design, **asdict(unit))), constants)

    def prepare_window_rescale(self, layer: _Window, scales: npt.ArrayLike, bias: Array, rule: str, **how: Any) -> _Narrowed:
        """As `addersim.kernels.prepare_window_rescale`."""
        usual = kernels.prepare_window_rescale(layer.usual, scales, bias, rule, **how)
        constants = rule_constants(usual.constants, usual.bias, rule, usual.output.zero_point, usual.low, usual.high)
        design = replace(layer.design, rule=usual.constants.formula)
        return _Narrowed(usual, replace(layer, design=design), constants)


@dataclass(frozen=True, slots=True)
class _Window:
    """A window layer that is called as the kernels' is, and whose sums are the Verilog's."""

    usual: PreparedWindow
    design: ArrayDesign
    weights: Array
    stored: Callable[[Array], Array]
    zero_point: int
    verilog: Verilog | None

    @classmethod
    def of(cls, usual: PreparedWindow, circuit: str, hardware: _Hardware) -> _Window:
        arithmetic = ARITHMETICS[usual.arithmetic]
        weights, weight_bits, weight_signed = _stored_weights(usual, arithmetic)
        signs = arithmetic.activation_bits == 1
        input_bits = 1 if signs else 8 * usual.kind.itemsize
        mask = (1 << input_bits) - 1
        design = ArrayDesign(
            datapath=circuit,
            rows=hardware.rows,
            columns=hardware.columns,
            input_bits=input_bits,
            weight_bits=weight_bits,
            input_signed=usual.kind.kind == "i",
            weight_signed=weight_signed,
            accumulator_bits=_sum_bits(usual),
            saturate=usual.register.overflow == "saturate",
            zero_points=usual.operands.zero_point != 0,
            output_bits=CODE_BITS,
            dataflow=hardware.dataflow,
        )
        stored = _signs if signs else lambda x: x.astype(np.int64) & mask
        return cls(usual, design, weights, stored, usual.operands.outside & mask, hardware.verilog)

    def __call__(self, x: Array, *, threads: int | None = None) -> WindowResult:
        found = self.usual(x, threads=threads)
        return replace(found, values=self.run(x, None)[0].reshape(found.values.shape).astype(found.values.dtype))

    def run(self, x: Array, constants: LayerConstants | None) -> tuple[Array, Array]:
        """Sums and codes of inputs, by the Verilog."""
        shape = LayerShape.of(x.shape, self.usual.weights.shape, self.usual.geometry, self.zero_point)
        if not shape.pixels:
            return (np.zeros((0, len(self.weights)), np.int64),) * 2
        return compile_array(self.design, self.verilog).run(shape, self.stored(x), self.weights, constants)[:2]


@dataclass(frozen=True, slots=True)
class _Narrowed:
    """A window layer and what narrows its sums, whose codes are the Verilog's."""

    usual: PreparedWindowAffine | PreparedWindowRescale
    window: _Window
    constants: LayerConstants

    def __call__(self, x: Array, *, threads: int | None = None) -> FusedResult:
        found = self.usual(x, threads=threads)
        codes = self.window.run(x, self.constants)[1]
        return replace(found, values=codes.reshape(found.values.shape).astype(found.values.dtype))


def _signs(x: Array) -> Array:
    return (x < 0).astype(np.int64)


def _stored_weights(usual: PreparedWindow, arithmetic: Arithmetic) -> tuple[Array, int, bool]:
    """Weights as the circuit holds them, less their zero points, in how many bits, and whether these are signed."""
    weights = usual.operands.exact_weights()
    codec = arithmetic.codec
    if codec.uniform:
        low, high = int(weights.min()), int(weights.max())
        signed = low < 0
        bits = max(8, bits_for(low, high, signed=signed))
        return codec.stored(weights, bits), bits, signed
    bits = _codec_bits(codec, weights)
    return codec.stored(weights, bits), bits, True


def _codec_bits(codec: Codec, weights: Array) -> int:
    """The fewest bits of a codec that has all of some values."""
    found = set(np.unique(np.abs(weights)).tolist())
    fitting = (bits for bits in range(codec.fewest, codec.most + 1) if found <= set(codec.levels(bits)))
    bits = next(fitting, None)
    if bits is None:
        raise FormatError(f"weights of magnitudes {sorted(found)} are none of {codec.name} in {codec.most} bits")
    return bits


def _sum_bits(usual: PreparedWindow) -> int:
    """The register's width; of one that holds any sum, a usual one that holds those of any input of its type."""
    if usual.register.bits is not None:
        return usual.register.bits
    zero = usual.operands.zero_point
    least, most = CODE_ENDS[usual.kind]
    weights = usual.operands.exact_weights()
    ends = ARITHMETICS[usual.arithmetic].ends((least - zero, most - zero), (int(weights.min()), int(weights.max())))
    if usual.products is not None:
        ends = min(0, int(usual.products.min())), max(0, int(usual.products.max()))
    taps = weights[0].size
    needed = bits_for(taps * ends[0], taps * ends[1])
    fitting = [bits for bits in _SUM_BITS if needed <= bits]
    if not fitting:
        raise FormatError(f"sums of {needed} bits; compiled Verilog gives sums of {_SUM_BITS[-1]}: --accumulator narrows them")
    return fitting[0]


def rtl_engine(
    rows: int = ROWS,
    columns: int = COLUMNS,
    circuit: str = "l1_2a",
    dataflow: Literal["output", "weight"] = "output",
    verilog: Verilog | None = None,
) -> types.ModuleType:
    """The engine on an array of a size.

    Parameters
    ----------
    rows, columns
        Of the array. No result depends on them.
    circuit
        Of adder layers: ``l1_2a``, ``l1_1c1a`` or ``l1_xor``. No result depends on it.
    dataflow
        What is stationary: ``output`` or ``weight``. No result depends on it.
    verilog
        Sources by file name, in place of the package's.
    """
    own = [name for name, datapath in CIRCUITS.items() if datapath.startswith("l1-")]
    if circuit not in own:
        raise FormatError(f"circuit {circuit!r} of adder layers is none of {', '.join(own)}")
    find_yosys(headers=True)  # what is missing is told now, not at the first layer
    compiler()
    circuits = {name: name for name in ARITHMETICS} | {"l1": circuit}
    functions = CodeFunctions(verilog)
    hardware = _Hardware(rows, columns, circuits, dataflow, verilog)
    engine = types.ModuleType("addersim.rtl.engine.of_one_array")
    for name in kernels.__all__:
        found = next(getattr(one, name) for one in (hardware, functions, kernels) if hasattr(one, name))
        setattr(engine, name, found)
    return engine
