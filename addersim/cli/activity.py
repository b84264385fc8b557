"""What `addersim simulate --activity` prints of zeros and toggles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from addersim.cli.output import print_table, say
from addersim.errors import ConfigError
from addersim.tabular import percent

if TYPE_CHECKING:
    from addersim.hardware.accelerator import Accelerator
    from addersim.hardware.activity import LayerActivity
    from addersim.hardware.operand_activity import OperandActivity


def activity_machine(asked: bool, name: str | None) -> Accelerator | None:
    """The accelerator whose order is measured; None where nothing is."""
    from addersim.hardware.load import load_accelerator

    if name is not None and not asked:
        raise ConfigError("--accelerator: says in which order --activity measures; give both")
    return load_accelerator(name or "systolic-16x16") if asked else None


def print_activity(found: Sequence[LayerActivity], machine: Accelerator) -> None:
    """A line a layer: zeros of both operands, and bits that change a step, of operands and sums."""
    rows = [
        {
            "layer": one.name,
            "input zeros": percent(one.input.zero_share),
            "weight zeros": percent(one.weight.zero_share),
            "input bits": _bits(one.input),
            "weight bits": _bits(one.weight),
            "sum bits": "" if one.sums is None else f"{one.sums.toggles_per_step:.2f} +- {one.sums.error:.2f}",
        }
        for one in found
    ]
    say()
    print_table(f"bits that change a step, {machine.array.dataflow} stationary as {machine.name}", rows)
    say("operands: exact, of all images, 0 where held; each bit by itself with --json")
    say("sums: of outputs drawn at random, with their standard error")


def _bits(operand: OperandActivity) -> float:
    return sum(operand.per_step)
