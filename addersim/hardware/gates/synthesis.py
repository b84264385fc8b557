"""Synthesis of the package's Verilog to a library's cells, by yosys."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from addersim.errors import HardwareError
from addersim.hardware.gates.cells import Library
from addersim.processes.unfinished import scratch_folder
from addersim.rtl.tools import Yosys, find_yosys, run_tool, run_yosys

__all__ = ["RECIPE", "Workshop", "synthesised", "workshop"]

RECIPE = "synth -flatten; dfflibmap; abc without a clock period"
"""What is done, in words: nothing drives it to a clock, as a tool with layout would."""
_LIBRARY = "library.lib"


class Workshop:
    """A folder with a library and sources, in which yosys works.

    Attributes
    ----------
    yosys
        The one that is used.
    version
        What it calls itself.
    """

    def __init__(self, folder: Path, library: Library, sources: Mapping[str, str]) -> None:
        self._folder, self.yosys = folder, find_yosys()
        (folder / _LIBRARY).write_text(library.text, encoding="utf-8", newline="\n")
        for name, text in sources.items():
            (folder / name).write_text(text, encoding="utf-8", newline="\n")
        self.version = _version(self.yosys, folder)

    def netlist(self, module: str, parameters: Mapping[str, int | str]) -> Mapping[str, Any]:
        """One module of yosys' JSON: a Verilog module with its parameters, mapped to the library."""
        steps = (
            "synth -flatten -run begin:fine",
            "synth -run fine:check",
            f"dfflibmap -liberty {_LIBRARY}",
            "opt -fast",
            f"abc -liberty {_LIBRARY}",
            "opt_clean -purge",
        )
        after = ("rename -enumerate -pattern u%", "write_verilog -noattr -noexpr netlist.v")
        return synthesised(module, parameters, steps, self._folder, self.yosys, after)


def synthesised(
    module: str,
    parameters: Mapping[str, int | str],
    steps: Sequence[str],
    folder: Path,
    yosys: Yosys,
    after: Sequence[str] = (),
) -> Mapping[str, Any]:
    """A Verilog module of a folder with its parameters, after some steps of yosys and more after it is named dut: its JSON.

    Raises
    ------
    HardwareError
        yosys gives none, or refuses.
    """
    given = " ".join(f"-chparam {name} {_constant(value)}" for name, value in parameters.items())
    lines = (
        f"read_verilog {module}.v",
        f"hierarchy -check -libdir . -top {module} {given}",  # what it needs, and no more: other files change nothing
        *steps,
        "rename -top dut",
        *after,
        "write_json netlist.json",
    )
    run_yosys("\n".join(lines), folder, using=yosys)
    modules = json.loads((folder / "netlist.json").read_text(encoding="utf-8"))["modules"]
    if "dut" not in modules:
        raise HardwareError(f"yosys: gave no netlist of {module}")
    found: Mapping[str, Any] = modules["dut"]
    return found


def _constant(value: int | str) -> str:
    """A parameter's value for yosys, which takes texts as the bits that they are.

    Examples
    --------
    >>> _constant("l2"), _constant(8)
    ("16'h6c32", '8')
    """
    return str(value) if isinstance(value, int) else f"{8 * len(value)}'h{value.encode('ascii').hex()}"


@contextmanager
def workshop(library: Library, sources: Mapping[str, str], beside: Path) -> Iterator[Workshop]:
    """A workshop in a folder of its own, which goes with it, in the folder `beside`: the wheel's yosys sees few others."""
    with scratch_folder(beside, "gates") as folder:
        yield Workshop(folder, library, sources)


def _version(yosys: Yosys, folder: Path) -> str:
    """Its name and number: ``yosys 0.23``."""
    words: Sequence[str] = run_tool((*yosys.command, "-V"), folder, "yosys").split()
    return next((f"yosys {word}" for word in words if word[:1].isdigit()), f"yosys of the {yosys.name}")
