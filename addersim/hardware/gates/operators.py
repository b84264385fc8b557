"""Single operations of the vector unit as gates: what a table with processing elements prices everything else by.

Each is a combinational circuit, inputs and outputs unregistered, on operands of which every code is as likely as any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.errors import HardwareError
from addersim.hardware.gates.activity import Simulator
from addersim.hardware.gates.cells import Library
from addersim.hardware.gates.netlist import read_netlist
from addersim.hardware.gates.power import cycle_energy
from addersim.hardware.gates.timing import Timing

__all__ = ["OPERATORS", "operator_module", "operator_row", "operator_verilog"]

Array = npt.NDArray[Any]

_FORMS: Mapping[str, tuple[str, Callable[[Array, Array, Array], Array]]] = MappingProxyType(
    {
        "add": ("a + b", lambda a, b, s: a + b),
        "sub": ("a - b", lambda a, b, s: a - b),
        "cmp": ("{{(BITS-1){1'b0}}, a > b}", lambda a, b, s: (a > b).astype(np.int64)),
        "mux": ("s[0] ? a : b", lambda a, b, s: np.where(s & 1, a, b)),
        "xor": ("a ^ b", lambda a, b, s: a ^ b),
        "shift": ("a >>> s", lambda a, b, s: a >> s),
        "mul": ("a * b", lambda a, b, s: a * b),
    }
)
OPERATORS = tuple(_FORMS)
"""Operations that are characterised, by the names of `addersim.arithmetic.ops.OPERATIONS`."""


def operator_verilog() -> dict[str, str]:
    """Verilog of all operations, by file name."""
    ports = "input signed [BITS-1:0] a, b, input [4:0] s"
    return {
        f"{operator_module(op)}.v": f"module {operator_module(op)} #(parameter BITS = 8) ({ports}, "
        f"output signed [{'2*BITS-1' if op == 'mul' else 'BITS-1'}:0] y);\n  assign y = {form};\nendmodule\n"
        for op, (form, _) in _FORMS.items()
    }


def operator_module(op: str) -> str:
    """Name of an operation's module."""
    return f"operation_{op}"


def operator_row(op: str, bits: int, module: Mapping[str, Any], library: Library, steps: int, seed: int) -> dict[str, float]:
    """Energy, area and leakage of an operation at a width, as columns of an energy table.

    Raises
    ------
    HardwareError
        A result differs from the operation's: the netlist is wrong.
    """
    timing = Timing.of(read_netlist(module, library))
    rng = np.random.default_rng(seed)
    a, b = rng.integers(-(1 << bits - 1), 1 << bits - 1, (2, steps))
    s = rng.integers(0, min(bits, 32), steps)
    simulator = Simulator.of(timing)
    driven = simulator.drive({name: words for name, words in (("a", a), ("b", b), ("s", s)) if name in simulator.inputs})
    wide = 2 * bits if op == "mul" else bits
    wanted = _FORMS[op][1](a, b, s) & ((1 << wide) - 1 if wide < 64 else -1)
    if (wrong := driven.outputs["y"] != wanted).any():
        step = int(np.argmax(wrong))
        raise HardwareError(
            f"{op} of {bits} bits: step {step}: the netlist gives {driven.outputs['y'][step]:x}, needs {wanted[step]:x}"
        )
    return {"energy_pj": cycle_energy(timing, driven.toggles.every).total_pj} | timing.netlist.size()
