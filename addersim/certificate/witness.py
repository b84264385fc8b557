"""An input that overflows a register of one bit less than a certificate asks for, and the kernels that say so."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from addersim import kernels
from addersim.arithmetic.fixed import Accumulator, Overflow
from addersim.arithmetic.geometry import Pair
from addersim.certificate.positions import Position, Side
from addersim.certificate.sums import Box, End, extreme_path, padding_code
from addersim.errors import NetworkError
from addersim.inputs.limits import ACCUMULATOR_BITS
from addersim.layers import Engine, IntegerWindow
from addersim.storage import write_atomically

__all__ = ["Witness"]

_LONGEST = 80
"""Letters of a layer's name in that of its file."""


@dataclass(frozen=True, slots=True, eq=False)
class Witness:
    """What one window of a layer sees while the sum of one filter reaches its extreme.

    Attributes
    ----------
    codes
        The patch of the image under the window, ``(rows, columns, channels / groups)``, of the channels of the filter's group.
    near_padding, far_padding
        Rows and columns of padding that the window covers before and after the patch.
    filter, output
        The filter, and the row and column of the output.
    end, tap, sum
        Which extreme, the tap that reaches it (kernel row, kernel column, channel of the group), and the sum there.
    last_sum
        The sum after all taps.
    """

    codes: npt.NDArray[Any]
    near_padding: Pair
    far_padding: Pair
    filter: int
    output: Pair
    end: End
    tap: tuple[int, int, int]
    sum: int
    last_sum: int

    @classmethod
    def of(cls, layer: IntegerWindow, box: Box, position: Position, filter_: int, end: End) -> Witness:
        """The witness of a filter, at a place of its window."""
        path = extreme_path(layer, box, position, filter_, end)
        rows, columns = position.rows, position.columns
        tap = int(path.sums.argmin() if end == "minimum" else path.sums.argmax())
        shape = layer.weights.shape[1:]
        size = tuple(side.pixels[1] - side.pixels[0] for side in (rows, columns))
        codes = np.full((*size, shape[2]), padding_code(layer), layer.input_format.dtype)
        places = (_places(side, step) for side, step in zip((rows, columns), layer.dilation, strict=True))
        codes[np.ix_(*places)] = path.codes[rows.taps, columns.taps]
        row, column, channel = (int(one) for one in np.unravel_index(tap, shape))
        return cls(
            codes=codes,
            near_padding=(rows.padding[0], columns.padding[0]),
            far_padding=(rows.padding[1], columns.padding[1]),
            filter=filter_,
            output=position.output,
            end=end,
            tap=(row, column, channel),
            sum=int(path.sums[tap]),
            last_sum=int(path.sums[-1]),
        )

    def run(self, layer: IntegerWindow, accumulator: Accumulator, engine: Engine = kernels) -> tuple[int, bool]:
        """The sum that the filter's register holds at the end, and whether it overflowed, on the kernels."""
        of_weights = layer.weight_zero_points
        alone = msgspec.structs.replace(
            layer,
            weights=layer.weights[[self.filter]],
            weight_zero_points=None if of_weights is None else of_weights[[self.filter]],
            accumulator=accumulator,
            stride=(2, 2),  # a patch in the padding alone would have a second window, one further
            padding=self.near_padding,
            far_padding=self.far_padding,
            groups=1,
        )
        found = alone.run(engine, self.codes[None])
        if found.values is None or found.observed is None:
            raise NetworkError(f"layer {layer.name}: the kernels gave no sums")
        return int(found.values.item()), bool(found.observed.overflowed)

    def confirmed(self, layer: IntegerWindow, bits: int, engine: Engine = kernels) -> bool:
        """Whether the kernels find the sum, an overflow at one bit less than `bits`, and none at `bits`.

        A register that wraps comes back from an overflow between the first tap and the last; there one that saturates is
        asked alone. Widths that no register has are not asked.
        """
        agreed = self.run(layer, Accumulator(), engine)[0] == self.last_sum
        for width in (bits - 1, bits):
            if ACCUMULATOR_BITS.least <= width <= ACCUMULATOR_BITS.most:
                for overflow in self._kinds(width):
                    agreed &= self.run(layer, Accumulator(width, overflow), engine)[1] == (width < bits)
        return agreed

    def _kinds(self, width: int) -> tuple[Overflow, ...]:
        """The registers in which a sum beyond a width is an overflow."""
        return ("saturate", "wrap") if self.last_sum == self.sum else ("saturate",)

    def save(self, folder: Path, place: int, name: str) -> None:
        """Write it as one .npz: the patch as ``codes``, everything else as JSON text in ``about``."""
        file = f"{place:03}-{re.sub(r'[^A-Za-z0-9._-]+', '_', name)[:_LONGEST]}.npz"
        told = {field: getattr(self, field) for field in self.__slots__ if field != "codes"} | {"layer": name}
        about = np.array(msgspec.json.encode(told).decode())
        with write_atomically(folder / file) as stream:
            np.savez_compressed(stream, allow_pickle=False, codes=self.codes, about=about)


def _places(side: Side, dilation: int) -> npt.NDArray[np.int64]:
    """Rows, or columns, of the patch that taps in the image meet."""
    return np.arange(side.first, side.end) * dilation - side.padding[0]
