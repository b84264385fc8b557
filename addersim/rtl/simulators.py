"""Modules in a simulator of its own, beside the compiled ones: Icarus Verilog, whose bits may be unknown, or Verilator."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from addersim.errors import ConfigError
from addersim.rtl.compiled import Design
from addersim.rtl.sources import defines
from addersim.rtl.tools import RtlError, find_tool, run_tool

__all__ = ["SIMULATORS", "UNKNOWN", "SimulatedModule", "check_simulator"]

Words = npt.NDArray[np.uint64]

UNKNOWN = "unknown"
"""Beside the outputs: after which edges a bit of them is neither 0 nor 1."""
_LIMIT_S = 600
_HEXADECIMAL = re.compile(r"[0-9a-f]+")


def _icarus(folder: Path, sources: list[str]) -> None:
    _run(("iverilog", "-g2005", "-s", "bench", "-o", "bench", *sources), folder)
    _run(("vvp", "-n", "bench"), folder)


def _verilator(folder: Path, sources: list[str]) -> None:
    quiet = ("-Wno-lint", "-Wno-style", "-Wno-fatal", "--default-language", "1364-2005")
    build = ("verilator", "--binary", "--timing", "-O3", "-CFLAGS", "-O1", *quiet, "--top-module", "bench", *sources)
    _run(build, folder)
    _run(("./obj_dir/Vbench",), folder)


def _run(command: tuple[str, ...], folder: Path) -> None:
    run_tool(command, folder, Path(command[0]).name, _LIMIT_S)


SIMULATORS: Mapping[str, tuple[tuple[str, ...], Callable[[Path, list[str]], None]]] = MappingProxyType(
    {"icarus": (("iverilog", "vvp"), _icarus), "verilator": (("verilator", "make", "g++"), _verilator)}
)
"""The programs that each takes, and what builds and runs the bench in a folder, by the name of a simulator."""


def check_simulator(name: str) -> None:
    """Refuse a simulator that is not known, or not installed."""
    if name not in SIMULATORS:
        raise ConfigError(f"simulator {name!r} is none of {', '.join(SIMULATORS)}")
    missing = [program for program in SIMULATORS[name][0] if find_tool(program) is None]
    if missing:
        raise ConfigError(f"simulator {name}: {' and '.join(missing)} not found; install it, or take another simulator")


class SimulatedModule:
    """A design that is called as a `addersim.rtl.compiled.ClockedModule` is, each time from its initial state."""

    def __init__(self, simulator: str, design: Design, verilog: Mapping[str, str]) -> None:
        check_simulator(simulator)
        self._simulator, self._design, self._verilog = simulator, design, verilog

    def run(self, inputs: Mapping[str, npt.ArrayLike], clocks: int) -> dict[str, Words]:
        """As `addersim.rtl.compiled.ClockedModule.run`, and `UNKNOWN`."""
        given = self._design.words(inputs, clocks)
        digits = [-(-bits // 4) for _, bits in self._design.inputs]
        columns = [[f"{int(word):0{places}x}" for word in row] for row, places in zip(given, digits, strict=True)]
        stimuli = "".join(f"{''.join(words)}\n" for words in zip(*columns, strict=True))  # Verilator reads whole lines alone
        macros = "`define PRODUCTS\n" if defines(self._verilog) else ""
        texts = {"bench.v": macros + _bench(self._design, clocks), **self._verilog, "stimuli.hex": stimuli}
        with tempfile.TemporaryDirectory() as folder:
            for name, text in texts.items():
                Path(folder, name).write_text(text, encoding="utf-8", newline="\n")
            SIMULATORS[self._simulator][1](Path(folder), [name for name in texts if name.endswith(".v")])
            lines = Path(folder, "found.txt").read_text(encoding="utf-8").split("\n")[:-1]
        if len(lines) != clocks:
            raise RtlError(f"module {self._design.module}: {self._simulator} ended after {len(lines)} of {clocks} clock edges")
        words = [line.split() for line in lines]
        found = {
            port: np.array([_number(line[place]) for line in words], np.uint64)
            for place, port in enumerate(dict(self._design.outputs))
        }
        return found | {UNKNOWN: np.array([not _HEXADECIMAL.fullmatch("".join(line)) for line in words], np.uint64)}


def _number(word: str) -> int:
    return int(word, 16) if _HEXADECIMAL.fullmatch(word) else 0


def _bench(design: Design, clocks: int) -> str:
    """Words for the inputs before each rising edge, the outputs after it; each input starts at a digit of its own."""
    starts, start = {}, 0
    for port, bits in reversed(design.inputs):
        starts[port] = start
        start += 4 * -(-bits // 4)
    inputs = "".join(f"  wire [{bits - 1}:0] {port} = word[{starts[port]}+:{bits}];\n" for port, bits in design.inputs)
    outputs = "".join(f"  wire [{bits - 1}:0] {port};\n" for port, bits in design.outputs)
    names = list(dict(design.outputs))
    shown = " ".join(["%h"] * len(names))
    return f"""`timescale 1ns / 1ns
module bench;
  reg clk;
  reg [{start - 1}:0] word, words[0:{clocks - 1}];
{inputs}{outputs}  device device ({_connected(design)});
  integer place, file;
  initial begin
    $readmemh("stimuli.hex", words);
    file = $fopen("found.txt", "w");
    clk = 1'b0;
    for (place = 0; place < {clocks}; place = place + 1) begin
      word = words[place];
      #1 clk = 1'b1;
      #1 $fdisplay(file, "{shown}", {", ".join(names)});
      clk = 1'b0;
    end
    $fclose(file);
    $finish;
  end
endmodule
{design.wrapper("device")}"""


def _connected(design: Design) -> str:
    return ", ".join(f".{port}({port})" for port in ("clk", *dict(design.inputs), *dict(design.outputs)))
