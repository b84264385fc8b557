"""Verilog as machine code: yosys translates modules to C++ (CXXRTL), a compiler makes a library, ctypes calls it.

What was compiled once is kept in the user's cache, under a hash of all that went in.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from addersim.errors import ConfigError
from addersim.rtl.sources import defines
from addersim.rtl.tools import RtlError, Yosys, compiler, find_yosys, run_tool, run_yosys

__all__ = ["CACHE", "ClockedModule", "Design", "compile_designs", "compile_library"]

Words = npt.NDArray[np.uint64]

CACHE = "ADDERSIM_CACHE"
"""Environment variable with the folder of compiled Verilog, in place of the user's cache."""
_FLAGS = ("-std=c++14", "-O1", "-fno-tree-ter", "-DCXXRTL_NDEBUG", "-fPIC", "-shared", "-w")
"""Without expressions put in the place of temporaries g++ takes half the time for wide multipliers, and what it makes is as
fast; Clang has no such pass and passes over the word. Without checks a memory that is read beyond its end gives 0, which
hardware may do; with them the process ended."""
_TOP = "all_designs"
_SHARED = ("kernel_",)
"""Beginnings of modules that designs may have in common: compiled once, half the compiler's time of large ones."""
_MOST_ROUNDS = 1000
"""Of evaluations in which wires follow each other: beyond these they go round, through latches or clocks that they make."""
_DRIVER = (
    f"#define MOST_ROUNDS {_MOST_ROUNDS}"
    + """
template <class Value> static void put(Value &port, uint64_t word, int bits) {
  port.data[0] = (uint32_t)word;
  if (bits > 32) port.data[port.chunks - 1] = (uint32_t)(word >> 32);
}
template <size_t Bits> static uint64_t get(const cxxrtl::value<Bits> &port, int bits) {
  return port.data[0] | (bits > 32 ? (uint64_t)port.data[port.chunks - 1] << 32 : 0);
}
template <size_t Bits> static uint64_t get(const cxxrtl::wire<Bits> &port, int bits) { return get(port.curr, bits); }
template <class Module> static bool settle(Module &module) {
  for (int round = 0; round < MOST_ROUNDS; round++) {
    bool converged = module.eval();
    if (!module.commit() || converged) return true;
  }
  return false;
}
template <class Module> static bool tick(Module &module) {
  module.p_clk.data[0] = 0;
  bool settled = settle(module);
  module.p_clk.data[0] = 1;
  return settle(module) && settled;
}
"""
)


@dataclass(frozen=True, slots=True)
class Design:
    """A module to compile, with the widths of its ports, at most 64 bits each; a clock is the port ``clk``.

    Attributes
    ----------
    module
        Name.
    parameters
        Values of its parameters, whole numbers or texts.
    inputs, outputs
        Bits by the name of a port.
    clocked
        Whether it has a clock.
    """

    module: str
    parameters: tuple[tuple[str, int | str], ...]
    inputs: tuple[tuple[str, int], ...]
    outputs: tuple[tuple[str, int], ...]
    clocked: bool = True

    def wrapper(self, name: str) -> str:
        """A module of a name without parameters around it."""
        ports = ["input clk", *(f"input [{bits - 1}:0] {port}" for port, bits in self.inputs)]
        ports += [f"output [{bits - 1}:0] {port}" for port, bits in self.outputs]
        values = ", ".join(f".{key}({_literal(value)})" for key, value in self.parameters)
        clock = ("clk",) if self.clocked else ()
        wires = ", ".join(f".{port}({port})" for port in (*clock, *dict(self.inputs), *dict(self.outputs)))
        return f"module {name}({', '.join(ports)});\n  {self.module} #({values}) held_module ({wires});\nendmodule\n"

    def words(self, inputs: Mapping[str, npt.ArrayLike], clocks: int) -> Words:
        """What each input has at each of a number of clock edges, of words for each edge or one for all."""
        given = np.empty((len(self.inputs), clocks), np.uint64)
        for row, (port, bits) in zip(given, self.inputs, strict=True):
            row[:] = np.asarray(inputs[port]).astype(np.int64).view(np.uint64) & np.uint64((1 << bits) - 1)
        return given


class ClockedModule:
    """A compiled design in one state, from which each call goes on."""

    def __init__(self, library: ctypes.CDLL, place: int, design: Design) -> None:
        self._design = design
        make, self._free, self._run = (getattr(library, f"{verb}_{place}") for verb in ("make", "free", "run"))
        make.restype = ctypes.c_void_p
        self._free.argtypes = [ctypes.c_void_p]
        self._run.restype = ctypes.c_int64
        self._run.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p]
        self._handle = make()

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            self._free(self._handle)

    def run(self, inputs: Mapping[str, npt.ArrayLike], clocks: int) -> dict[str, Words]:
        """What the outputs are after each of a number of rising edges, of inputs before each, or one for all."""
        given = self._design.words(inputs, clocks)
        found = np.empty((len(self._design.outputs), clocks), np.uint64)
        settled = self._run(self._handle, clocks, given.ctypes.data, found.ctypes.data)
        if settled < clocks:
            raise RtlError(f"module {self._design.module}: wires go round without an end after clock edge {settled}")
        return dict(zip(dict(self._design.outputs), found, strict=True))


def compile_designs(designs: Sequence[Design], verilog: Mapping[str, str]) -> list[ClockedModule]:
    """Compile designs of some Verilog files into one library, each in its initial state."""
    names = [f"design_{place}" for place in range(len(designs))]
    wrappers = [design.wrapper(name) for name, design in zip(names, designs, strict=True)]
    harness = _DRIVER + "".join(_entry(place, design) for place, design in enumerate(designs))
    library = compile_library(verilog, names, wrappers, harness, _SHARED)
    return [ClockedModule(library, place, design) for place, design in enumerate(designs)]


def compile_library(
    verilog: Mapping[str, str], tops: Sequence[str], wrappers: Sequence[str], harness: str, apart: Sequence[str] = ()
) -> ctypes.CDLL:
    """A library of modules and the C++ that drives them.

    Parameters
    ----------
    verilog
        Files by name.
    tops
        Modules that the harness drives, as ``cxxrtl_design::p_NAME``; an underscore of a name is doubled there.
    wrappers
        More Verilog, that of the tops.
    harness
        C++ with functions of C.
    apart
        Modules that are not dissolved into those around them, for there are many of each.
    """
    using, compile_with = find_yosys(headers=True), compiler()
    script = _script(verilog, apart)
    source = _tops(tops, wrappers)
    parts = (*using.command, str(using.headers), compile_with, *_FLAGS, script, source, harness)
    texts = [text for name in sorted(verilog) for text in (name, verilog[name])]
    digest = hashlib.sha256("\0".join((*parts, *texts)).encode()).hexdigest()[:32]
    target = _cache() / f"{digest}.so"
    if not target.exists():
        with tempfile.TemporaryDirectory() as folder:
            built = _build(Path(folder), {**verilog, "tops.v": source}, script, harness, using, compile_with)
            _move_in(built, target)
    return ctypes.CDLL(str(target))


def _script(verilog: Mapping[str, str], apart: Sequence[str]) -> str:
    read = " ".join((*defines(verilog), *(name for name in sorted(verilog) if name.endswith(".v"))))
    kept = "".join(f"setattr -mod -set keep_hierarchy 1 *{name}* %n %n\n" for name in apart)
    return (
        f"read_verilog -defer {read}\nread_verilog tops.v\nhierarchy -check -top {_TOP}\n{kept}"
        "proc\nflatten\nopt -fast\ncheck -assert\nwrite_cxxrtl -g0 design.cpp\n"
    )


def _tops(tops: Sequence[str], wrappers: Sequence[str]) -> str:
    """One module that holds the tops, so that one run of yosys translates all of them and dissolves none."""
    kept = [text.replace("module ", "(* keep_hierarchy *)\nmodule ", 1) for text in wrappers]
    held = "".join(f"  (* keep *) {name} hold_{name} ();\n" for name in tops)
    return f"{''.join(kept)}module {_TOP}();\n{held}endmodule\n"


def _build(folder: Path, verilog: Mapping[str, str], script: str, harness: str, using: Yosys, compile_with: str) -> Path:
    for name, text in verilog.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    run_yosys(script, folder, using=using)
    (folder / "harness.cpp").write_text(
        f'#include "design.cpp"\n#include <cstdint>\n{harness}', encoding="utf-8", newline="\n"
    )
    built = folder / "design.so"
    run_tool((compile_with, *_FLAGS, f"-I{using.headers}", "harness.cpp", "-o", built.name), folder, compile_with)
    return built


def _move_in(built: Path, target: Path) -> None:
    """Under its name at once and whole: others may look for it at the same moment."""
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(built, beside)
        beside.replace(target)
    except OSError as error:
        raise ConfigError(f"{target.parent}: {error.strerror}; {CACHE} names another folder for compiled Verilog") from None


def _cache() -> Path:
    chosen = os.environ.get(CACHE)
    home = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return (Path(chosen) if chosen else Path(home, "addersim")) / "rtl"


def _literal(value: int | str) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def _entry(place: int, design: Design) -> str:
    """The functions of C that make, free and run a design."""
    puts = "".join(
        f"    put(module.{_member(port)}, in[{row} * n + i], {bits});\n" for row, (port, bits) in enumerate(design.inputs)
    )
    gets = "".join(
        f"    out[{row} * n + i] = get(module.{_member(port)}, {bits});\n" for row, (port, bits) in enumerate(design.outputs)
    )
    kind = f"cxxrtl_design::p_design__{place}"
    return f"""
extern "C" void *make_{place}() {{ return new {kind}; }}
extern "C" void free_{place}(void *it) {{ delete ({kind} *)it; }}
extern "C" int64_t run_{place}(void *it, int64_t n, const uint64_t *in, uint64_t *out) {{
  {kind} &module = *({kind} *)it;
  for (int64_t i = 0; i < n; i++) {{
{puts}    if (!tick(module)) return i;
{gets}  }}
  return n;
}}
"""


def _member(port: str) -> str:
    return "p_" + port.replace("_", "__")
