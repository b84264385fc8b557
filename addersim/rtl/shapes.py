"""What the Verilog of layers is told: the parameters of an array, and the shape of a layer in words."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from addersim.arithmetic.geometry import Geometry

__all__ = ["ArrayDesign", "LayerShape"]

Shape4 = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class ArrayDesign:
    """Parameters of ``quantised_layer``: an array, its operands and registers, and the rule by which sums become codes."""

    datapath: str
    rows: int
    columns: int
    input_bits: int
    weight_bits: int
    input_signed: bool
    weight_signed: bool
    accumulator_bits: int
    saturate: bool = False
    zero_points: bool = False
    rule: str = "half-even"
    output_bits: int = 8
    output_signed: bool = True
    wrap: bool = False
    dataflow: Literal["output", "weight"] = "output"

    def parameters(self) -> str:
        """As an instance takes them."""
        values = ((one.name.upper(), getattr(self, one.name)) for one in fields(self))
        return ", ".join(f".{name}({_literal(value)})" for name, value in values)


@dataclass(frozen=True, slots=True)
class LayerShape:
    """What the sequencer is told of a layer: the words of its port ``shape`` in their order, and the input's zero point."""

    pixels: int
    height: int
    width: int
    channels: int
    groups: int
    group_channels: int
    group_filters: int
    taps: int
    kernel_width: int
    stride_y: int
    stride_x: int
    padding_y: int
    padding_x: int
    dilation_y: int
    dilation_x: int
    out_height: int
    out_width: int
    zero_point: int = 0

    @classmethod
    def of(cls, x: Shape4, weights: Shape4, geometry: Geometry, zero_point: int = 0) -> LayerShape:
        """Of inputs ``(images, height, width, channels)`` and weights ``(filters, height, width, channels / groups)``."""
        _, out_height, out_width, _ = geometry.output_shape(x, weights)
        return cls._of(x, weights, geometry, (out_height, out_width), zero_point)

    @classmethod
    def of_pool(cls, x: Shape4, geometry: Geometry) -> LayerShape:
        """Of pooling: each channel is a group with one filter."""
        channels = x[3]
        outputs = geometry.pooled_size(x[1], x[2])
        return cls._of(x, (channels, *geometry.kernel, 1), replace(geometry, groups=channels), outputs, 0)

    @classmethod
    def _of(cls, x: Shape4, weights: Shape4, geometry: Geometry, outputs: tuple[int, int], zero_point: int) -> LayerShape:
        images, height, width, channels = x
        filters, kernel_height, kernel_width, group_channels = weights
        out_height, out_width = outputs
        return cls(
            pixels=images * out_height * out_width,
            height=height,
            width=width,
            channels=channels,
            groups=geometry.groups,
            group_channels=group_channels,
            group_filters=filters // geometry.groups,
            taps=kernel_height * kernel_width * group_channels,
            kernel_width=kernel_width,
            stride_y=geometry.stride[0],
            stride_x=geometry.stride[1],
            padding_y=geometry.padding[0],
            padding_x=geometry.padding[1],
            dilation_y=geometry.dilation[0],
            dilation_x=geometry.dilation[1],
            out_height=out_height,
            out_width=out_width,
            zero_point=zero_point,
        )

    def words(self) -> npt.NDArray[np.int64]:
        """The words of the port ``shape``, in its order, and the zero point."""
        return np.array(astuple(self), np.int64)

    def folds(self, design: ArrayDesign) -> tuple[int, int]:
        """Along the rows and the columns of an array, in a group."""
        on_rows = self.taps if design.dataflow == "weight" else self.pixels
        return -(-on_rows // design.rows), -(-self.group_filters // design.columns)

    def cycles(self, design: ArrayDesign) -> int:
        """Of an array, in folds one after another, each as long as the rows and columns that it uses ask.

        With sums in the elements a fold holds rows x columns of pixels and filters and lasts rows + columns + taps - 2 cycles;
        with weights there, of taps and filters, 2 rows + columns + pixels - 2.
        """
        down, across = self.folds(design)
        on_rows, in_time = (2 * self.taps, self.pixels) if design.dataflow == "weight" else (self.pixels, self.taps)
        return self.groups * (on_rows * across + self.group_filters * down + down * across * (in_time - 2))


def _literal(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(int(value))
