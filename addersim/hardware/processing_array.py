"""The array's part of an accelerator file: its sides, its dataflow, and what its processing elements have."""

from __future__ import annotations

from typing import Annotated, Literal, cast

import numpy as np
from msgspec import Meta, Struct, structs

from addersim.arithmetic.datapaths import DATAPATHS
from addersim.errors import HardwareError
from addersim.hardware.arrays import IntLike
from addersim.inputs.limits import SIDE
from addersim.trace import GROUPS

__all__ = [
    "BroadcastTrees",
    "Dataflow",
    "Objective",
    "Power",
    "RowStationary",
    "Side",
    "SystolicArray",
    "Text",
    "check_idle",
    "read_pattern",
]

Dataflow = Literal["output", "weight", "input"]
Objective = Literal["energy-delay", "energy", "latency", "dram"]

Text = Annotated[str, Meta(min_length=1)]
Side = Annotated[int, SIDE.meta]
Power = Annotated[float, Meta(ge=0, le=1e6)]


def check_idle(power_mw: float | None, source: str | None) -> None:
    """Refuse an idle power without its source, and a source without its power."""
    if (power_mw is None) != (source is None):
        raise ValueError("idle_power_mw and idle_source come together: a number needs its source")


class RowStationary(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a row stationary array has beyond rows and columns.

    Attributes
    ----------
    input_words, weight_words, sum_words
        Scratchpads of a processing element, in words of `word_bits`.
    word_bits
        Width of their words; narrower operands lie side by side, as many as fit whole.
    least
        What the mapping of a layer makes least: see `dataflow.row_mapper.row_mapping`.
    """

    input_words: Side
    weight_words: Side
    sum_words: Side
    word_bits: Annotated[int, Meta(ge=1, le=1024)] = 16
    least: Objective = "energy-delay"


def read_pattern(text: str) -> tuple[int, int]:
    """N and M of ``N:M``. Raises ValueError for anything else.

    Examples
    --------
    >>> read_pattern("2:4")
    (2, 4)
    """
    for group in GROUPS:
        for most in range(1, group):
            if text == f"{most}:{group}":
                return most, group
    sizes = ", ".join(map(str, GROUPS))
    raise ValueError(f"sparsity {text!r}; needs N:M with M one of {sizes} and N from 1 to M - 1, as 2:4")


class BroadcastTrees(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a broadcast array has beyond rows and columns: `columns` adder trees, each of which sums the products of `rows`
    channels of one tap in a cycle, those of the same inputs in every tree (`dataflow.broadcast`).

    Attributes
    ----------
    stripe
        Outputs of a tree whose sums its accumulators hold: each weight is read again for each so many.
    load_cycles
        Cycles in which the next weights of all elements are loaded: outputs of a stripe that are fewer wait for them.
    image_channels
        Layers of at most so many input channels have the taps of a kernel row side by side in a tree, as images do on NVDLA.
    """

    stripe: Side
    load_cycles: Side = 1
    image_channels: Annotated[int, Meta(ge=0, le=65_536)] = 0


class SystolicArray(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The array: `rows` x `columns` processing elements, each one tap a cycle, and the operand that stays in them.

    Attributes
    ----------
    rows, columns
        Size.
    dataflow
        What is stationary: the outputs, weights or inputs of a systolic array, or ``row``, rows of all three; or
        ``broadcast``: inputs go to all columns at once, each of which is a tree of adders.
    row_stationary
        Scratchpads and mapping of a row stationary array; only with the dataflow ``row``.
    broadcast
        Accumulators and inputs of a broadcast array; only with that dataflow.
    datapaths
        Circuits that a processing element has; a layer that needs another one is refused. None: those that the network needs,
        as in a design made for it.
    multiplier_share
        Share of the columns whose elements can multiply, rounded up to whole columns. Layers that multiply run on these alone,
        and each other layer on all columns, so that the elements of the others have no multiplier. None: all elements have
        the circuits of all layers.
    overlapped_folds
        Whether a second set of registers takes the next stationary operand, or drains the sums, while a fold runs. If not,
        the array fills and drains for each fold, as in SCALE-Sim.
    sparsity
        ``N:M``, as ``2:4``: multiplying layers of whose filters, in the order of their sum (kernel row, kernel column, input
        channel), no M weights hold more than N that are not zero store and compute N of each M, and at most N of those that
        remain. A stored weight has the bits of its place in the group beside it; all inputs are still read, and
        what chooses among them is not priced. Other layers run as they are. None: zeros are weights like others.
    zero_gating
        Whether an element whose input is zero rests for that tap: its multiplier and adder do not switch, and a row stationary
        one does not read the weight from its scratchpad. Cycles stay. Of layers whose products of zero are zero alone: in an
        adder layer ``|0 - w|`` is no less work than any other tap (`zero_savings`).
    idle_power_mw, idle_source
        What the array draws whatever it does, such as its clock tree, given with its source; see `idle`.
    """

    rows: Side
    columns: Side
    dataflow: Literal[Dataflow, "row", "broadcast"]
    row_stationary: RowStationary | None = None
    broadcast: BroadcastTrees | None = None
    datapaths: Annotated[tuple[Text, ...], Meta(min_length=1)] | None = None
    multiplier_share: Annotated[float, Meta(gt=0, le=1)] | None = None
    overlapped_folds: bool = False
    sparsity: Text | None = None
    zero_gating: bool = False
    idle_power_mw: Power | None = None
    idle_source: Text | None = None

    def __post_init__(self) -> None:
        check_idle(self.idle_power_mw, self.idle_source)
        if self.sparsity is not None:
            read_pattern(self.sparsity)
            if self.dataflow == "row":
                raise ValueError("sparsity is for systolic arrays; a row stationary one takes whole rows of weights")
            if self.dataflow == "broadcast":
                raise ValueError("sparsity is for systolic arrays; a broadcast one gives all trees the same inputs")
        for name in self.datapaths or ():
            if name not in DATAPATHS:
                raise ValueError(f"unknown datapath {name!r} in datapaths; known: {', '.join(DATAPATHS)}")
        datapaths = self.datapaths or tuple(DATAPATHS)
        if self.multiplier_share is not None and not any(DATAPATHS[name].multiplies for name in datapaths):
            found = ", ".join(datapaths)
            raise ValueError(f"multiplier_share needs a datapath that multiplies; found the datapaths {found}")
        _check_together(self.dataflow, "row", "row_stationary", self.row_stationary, "scratchpads")
        _check_together(self.dataflow, "broadcast", "broadcast", self.broadcast, "stripe")
        if self.dataflow in ("row", "broadcast") and self.overlapped_folds:
            name = "row stationary" if self.dataflow == "row" else "broadcast"
            raise ValueError(f"overlapped_folds is for systolic arrays; a {name} one counts no filling")

    @property
    def elements(self) -> int:
        """Processing elements."""
        return self.rows * self.columns

    @property
    def usual_objective(self) -> Objective:
        """What the choice of tiles makes least where nobody says: energy, or what a row stationary array says."""
        return self.row_stationary.least if self.row_stationary else "energy"

    @property
    def systolic(self) -> Dataflow:
        """The dataflow of a systolic array; others are refused."""
        if self.dataflow in ("row", "broadcast"):
            name = "row stationary" if self.dataflow == "row" else "a broadcast array"
            raise HardwareError(f"the array is {name}: systolic folds, and SCALE-Sim's reports, do not describe it")
        return cast("Dataflow", self.dataflow)

    @property
    def folded(self) -> Dataflow:
        """What stays in the array while a fold runs: in a broadcast one the outputs, in the accumulators of its trees."""
        return "output" if self.broadcast is not None else self.systolic

    @property
    def fold_rows(self) -> int:
        """Rows of a fold: of a broadcast array the outputs that its trees accumulate."""
        return self.rows if self.broadcast is None else self.broadcast.stripe

    def multiplying_columns(self, columns: IntLike) -> IntLike:
        """Columns whose elements can multiply, of a number of columns."""
        if self.multiplier_share is None:
            return columns
        least = np.ceil(np.round(np.asarray(columns) * self.multiplier_share, 9)).astype(np.int64)  # 0.3 x 10 is 3, not 4
        return int(least) if isinstance(columns, int) else least

    def part_for(self, datapath: str | None) -> SystolicArray:
        """The columns that run a datapath, as an array of their own."""
        if self.multiplier_share is None:
            return self
        multiplies = datapath is not None and DATAPATHS[datapath].multiplies
        columns = self.multiplying_columns(self.columns) if multiplies else self.columns
        return structs.replace(self, columns=columns, multiplier_share=None)


def _check_together(dataflow: str, name: str, key: str, found: Struct | None, holds: str) -> None:
    """Refuse a dataflow without its table, and the table without its dataflow."""
    if (dataflow == name) != (found is not None):
        raise ValueError(
            f"found the dataflow {dataflow!r} with{'' if found else 'out'} {key}; "
            f"the dataflow {name!r} and the {holds} under {key} come together"
        )
