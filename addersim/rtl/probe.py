"""What a module of somebody's Verilog is: its ports and parameters, or why it cannot be read."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from addersim.errors import ConfigError
from addersim.inputs.opening import read_file
from addersim.inputs.text import did_you_mean
from addersim.rtl.tools import RtlError, run_yosys

__all__ = ["Module", "find_module", "read_verilog"]

MOST_BYTES = 16 << 20
"""Of one file of Verilog."""
_NAME = re.compile(r"[A-Za-z_][\w.-]*")
_INCLUDED = (".vh", ".svh")


@dataclass(frozen=True, slots=True)
class Module:
    """A module as yosys elaborates it.

    Attributes
    ----------
    ports
        Direction (``input``, ``output``, ``inout``) and bits by name.
    parameters
        Names of its parameters.
    """

    ports: Mapping[str, tuple[str, int]]
    parameters: tuple[str, ...]


def read_verilog(paths: Sequence[str | Path]) -> dict[str, str]:
    """Texts of Verilog files by their names without folders, as tools are given them."""
    found: dict[str, str] = {}
    for path in map(Path, paths):
        if not _NAME.fullmatch(path.name):
            raise ConfigError(f"{path}: tools take files named by letters, digits, dots and dashes; rename it")
        if path.name in found:
            raise ConfigError(f"{path}: two files of this name were given")
        text = read_file(path, MOST_BYTES, ConfigError)
        try:
            found[path.name] = text.decode("utf-8")
        except UnicodeDecodeError:
            raise ConfigError(f"{path}: is no text; expected Verilog in UTF-8") from None
    return found


def find_module(verilog: Mapping[str, str], top: str, parameters: Mapping[str, int] | None = None) -> Module:
    """Elaborate a module with values of its parameters.

    Raises
    ------
    RtlError
        With the file and line that yosys names: a syntax error, a module that is not there, a loop without a register.
    """
    if not re.fullmatch(r"[A-Za-z_]\w*", top):
        raise ConfigError(f"--top: {top!r} is no name of a module")
    values = "".join(f" -chparam {name} {value}" for name, value in (parameters or {}).items())
    read = " ".join(name for name in verilog if not name.endswith(_INCLUDED))
    script = (
        f"read_verilog {read}\nhierarchy -check -top {top}{values}\nproc\nwrite_json module.json\n"
        "flatten\nopt_clean\ncheck -assert\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        for name, text in verilog.items():
            Path(folder, name).write_text(text, encoding="utf-8", newline="\n")
        try:
            run_yosys(script, Path(folder))
        except RtlError as error:
            if f"Module `{top}' not found" in str(error) or f"\\{top}' not found" in str(error):
                raise RtlError(_not_there(verilog, top)) from None
            raise
        return _module(Path(folder, "module.json").read_bytes(), top)


def _not_there(verilog: Mapping[str, str], top: str) -> str:
    known = re.findall(r"^\s*module\s+(\w+)", "\n".join(verilog.values()), re.MULTILINE)
    return f"{', '.join(verilog)}: no module {top!r}; found {', '.join(known) or 'none'}{did_you_mean(top, known)}"


def _module(document: bytes, top: str) -> Module:
    modules = msgspec.json.decode(document)["modules"]
    found = next(one for name, one in modules.items() if name == top or int(one["attributes"].get("top", "0"), 2))
    ports = {name: (port["direction"], len(port["bits"])) for name, port in found["ports"].items()}
    return Module(ports, tuple(found.get("parameter_default_values", {})))
