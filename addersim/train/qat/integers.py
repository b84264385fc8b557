"""Where integer layers run: in the simulator's kernels, or on a GPU, by the same rules and to the same codes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from addersim import kernels
from addersim.arithmetic.datapaths import DATAPATHS
from addersim.arithmetic.fixed import FixedFormat, Overflow, Rounding
from addersim.images import Images
from addersim.layers import (
    IntegerAdd,
    IntegerAffine,
    IntegerAveragePool,
    IntegerConcat,
    IntegerLayer,
    IntegerMaxPool,
    IntegerRelu,
    IntegerWindow,
)
from addersim.network import walk
from addersim.program import Program, image_encoder
from addersim.train.qat.forms import max_pool, pool_sums, window_sums

__all__ = ["TENSOR_FORMS", "run", "scores"]

FLOAT32_BITS, FLOAT64_BITS = 24, 50
"""Widths of signed sums that are exact in floats, with room for the three sums of a square."""


def run(integer: IntegerLayer, *codes: Tensor) -> Tensor:
    """Output codes of an integer layer, channels last, where the codes that it reads lie.

    On a GPU kinds of `TENSOR_FORMS` stay there, where floats hold their sums; codes of others go to the simulator and back.
    """
    if not is_simulated(codes[0]):
        rule = TENSOR_FORMS.get(type(integer))
        there = rule(integer, *codes) if rule else None
        if there is not None:
            return there
    values = [one.cpu().contiguous().numpy() for one in codes]
    found = integer.run(kernels, *values, threads=torch.get_num_threads()).values
    return torch.from_numpy(found).to(codes[0].device)


def is_simulated(codes: Tensor) -> bool:
    """Whether codes lie where the simulator runs."""
    return codes.device.type == "cpu"


def scores(program: Program, images: Images, device: torch.device | str) -> Tensor:
    """Codes of a program's scores, from a device: those of `Program.run`."""
    what = program.input_shape, program.preprocessing, f"program {program.name}"
    codes = torch.from_numpy(image_encoder(program.input, program.rounding, *what)(images, None)).to(device)
    for _, last in walk(program.layers, codes, lambda layer, given: run(layer, *given)):
        found = last
    return cast("Tensor", found)


def _sums(layer: IntegerWindow, codes: Tensor) -> Tensor | None:
    record, bits, register = DATAPATHS[layer.datapath].arithmetic, layer.bits_bound(), layer.accumulator.bits
    kind, most = (torch.float32, FLOAT32_BITS) if record.kernel == "l1" else (torch.float64, FLOAT64_BITS)
    overflows = register is not None and register < bits
    if bits > most or overflows or layer.multiplier is not None or layer.weight_zero_points is not None:
        return None
    places = layer.places()
    weights = torch.tensor(layer.weights).to(codes.device, kind).movedim(-1, 1)
    found = window_sums(layer, codes.to(kind).movedim(-1, 1) * 2 ** places[0], weights * 2 ** places[1])
    return found.movedim(1, -1).to(torch.int32 if bits <= 32 else torch.int64)


def _affine(layer: IntegerAffine, codes: Tensor) -> Tensor:
    return _multiplied(codes, *layer.constants(codes.shape[-1]), layer.output, layer.rounding, layer.overflow)


def _average_pool(layer: IntegerAveragePool, codes: Tensor) -> Tensor | None:
    if layer.rule != "addersim" or layer.source is not None:
        return None
    sums = pool_sums(layer, codes.long().movedim(-1, 1)).movedim(1, -1)
    factors = layer.factors((codes.shape[-1], *codes.shape[1:3]))
    shape = (*sums.shape[1:3], 1) if len(factors[0]) > 1 else (1, 1, 1)
    multiplier, shift = (one.reshape(shape) for one in factors)
    return _multiplied(sums, multiplier, np.zeros_like(multiplier), shift, layer.output, layer.rounding, "saturate")


def _multiplied(
    codes: Tensor, multiplier: Any, addend: Any, shift: Any, output: FixedFormat, rounding: Rounding, overflow: Overflow
) -> Tensor:
    constants = torch.from_numpy(np.stack([np.asarray(one, np.int64) for one in (multiplier, addend, shift)]))
    by, more, places = constants.to(codes.device)
    return _into(_shifted_right(codes.long() * by + more, places, rounding), output, overflow)


def _shifted_right(values: Tensor, shift: Tensor, rounding: Rounding) -> Tensor:
    """As `addersim.arithmetic.fixed.shift_right`."""
    floor = values >> shift
    if rounding == "truncate":
        return floor
    remainder = values - (floor << shift)
    half = torch.where(shift > 0, 1 << (shift - 1).clamp_min(0), 1)
    up = remainder >= half if rounding == "half-up" else (remainder > half) | ((remainder == half) & (floor & 1 == 1))
    return floor + up


def _into(values: Tensor, output: FixedFormat, overflow: Overflow = "saturate") -> Tensor:
    if overflow == "wrap":
        values = ((values - output.minimum) & ((1 << output.bits) - 1)) + output.minimum
    return values.clamp(output.minimum, output.maximum).to(_kind(output))


def _kind(held: FixedFormat) -> torch.dtype:
    return torch.from_numpy(np.empty(0, held.dtype)).dtype


def _relu(layer: IntegerRelu, codes: Tensor) -> Tensor:
    values = codes.long() if layer.maximum is None else codes.long().clamp_max(layer.maximum)
    return _into(values, layer.output)


def _max_pool(layer: IntegerMaxPool, codes: Tensor) -> Tensor:
    return max_pool(layer, codes.float().movedim(-1, 1)).movedim(1, -1).to(codes.dtype)


def _add(layer: IntegerAdd, one: Tensor, other: Tensor) -> Tensor | None:
    if one.shape != other.shape:
        return None
    return _into(one.long() - other.long() if layer.subtract else one.long() + other.long(), layer.output, layer.overflow)


def _concat(layer: IntegerConcat, *codes: Tensor) -> Tensor:
    return torch.cat([_into(one.long(), layer.output) for one in codes], -1)


TENSOR_FORMS: Mapping[type, Callable[..., Tensor | None]] = MappingProxyType(
    {
        IntegerWindow: _sums,
        IntegerAffine: _affine,
        IntegerRelu: _relu,
        IntegerMaxPool: _max_pool,
        IntegerAveragePool: _average_pool,
        IntegerAdd: _add,
        IntegerConcat: _concat,
    }
)
"""What kinds of integer layers give, from codes as tensors, on any device; None where floats would round the sums."""
