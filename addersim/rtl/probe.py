"""A module of somebody's Verilog: its ports and parameters, and what is left of it to run; or why it cannot be read.

Yosys elaborates it into one plain module, which alone is compiled or simulated: nothing in it prints, starts a program or
carries an attribute into C++. Of files those are read that were given, and no others.
"""

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
from addersim.rtl.sources import defines, sources_text
from addersim.rtl.tools import RtlError, run_yosys

__all__ = ["PLAIN_NAME", "Module", "find_module", "read_verilog"]

MOST_BYTES = 16 << 20
"""Of one file of Verilog."""
LIMIT_S = 120
"""Of yosys: loops and recursions of Verilog that do not end, do not end there either."""
PLAIN_NAME = "plain_module"
"""Of the module that is left."""
_FILE = re.compile(r"[A-Za-z_][\w.-]*")
_TOP = re.compile(r"[A-Za-z_][\w$]*")
_SOURCES = {".v": "", ".sv": "-sv "}
"""Options of yosys' reader by the end of a name; other files are there to be included, or read into a memory."""
_READS = re.compile(r'(`include\b|\$readmem[bh]\b|\$\w*``)\s*\(?\s*(?:"([^"\n]*)")?')
_COMMENT = re.compile(r'[^"\\\n]*//(?!.*\*/)')


@dataclass(frozen=True, slots=True)
class Module:
    """A module as yosys elaborates it.

    Attributes
    ----------
    ports
        Direction (``input``, ``output``, ``inout``) and bits by name.
    parameters
        Names of its parameters.
    plain
        All of it as one module without parameters, `PLAIN_NAME`: a file of Verilog by its name, and those of its memories.
    """

    ports: Mapping[str, tuple[str, int]]
    parameters: tuple[str, ...]
    plain: Mapping[str, str]


def read_verilog(paths: Sequence[str | Path]) -> dict[str, str]:
    """Texts of Verilog files, and of what these include or read into memories, by their names without folders.

    Raises
    ------
    ConfigError
        For a file that cannot be read, and where one asks for another that was not given.
    """
    found: dict[str, str] = {}
    for path in map(Path, paths):
        if not _FILE.fullmatch(path.name):
            raise ConfigError(f"{path}: tools take files named by letters, digits, dots and dashes; rename it")
        if path.name in found:
            raise ConfigError(f"{path}: two files of this name were given")
        text = read_file(path, MOST_BYTES, ConfigError)
        try:
            found[path.name] = text.decode("utf-8")
        except UnicodeDecodeError:
            raise ConfigError(f"{path}: is no text; expected Verilog in UTF-8") from None
    if not _sources(found):
        raise ConfigError(f"{', '.join(found)}: no Verilog among them; its files end in {' or '.join(_SOURCES)}")
    ours = sources_text()
    for name, source in found.items():
        if ours.get(name) != source:
            _check_reads(name, source, found)
    return found


def _sources(verilog: Mapping[str, str]) -> list[str]:
    return [name for name in verilog if Path(name).suffix in _SOURCES]


def _check_reads(name: str, text: str, given: Mapping[str, str]) -> None:
    """Refuse to look at files that were not given, wherever they lie."""
    for number, line in enumerate(text.splitlines(), 1):
        for found in _READS.finditer(line):
            comment = _COMMENT.match(line)
            if found[2] not in given and not (comment and comment.end() <= found.start()):
                asked = repr(found[2]) if found[2] is not None else "a file whose name is not written there"
                raise ConfigError(f"{name}:{number}: {found[1]} asks for {asked}; give it too, and name it without folders")


def find_module(verilog: Mapping[str, str], top: str, parameters: Mapping[str, int] | None = None) -> Module:
    """Elaborate a module with values of its parameters.

    Raises
    ------
    RtlError
        With the file and line that yosys names: a syntax error, a module that is not there, a loop without a register.
    """
    if not _TOP.fullmatch(top):
        raise ConfigError(f"--top: {top!r} is no name of a module")
    values = "".join(f" -chparam {name} {value}" for name, value in (parameters or {}).items())
    options = "".join(f"{one} " for one in defines(verilog))
    reads = "".join(f"read_verilog {options}{_SOURCES[Path(name).suffix]}{name}\n" for name in _sources(verilog))
    script = (
        f"{reads}hierarchy -check -top {top}{values}\nproc\nwrite_json module.json\nflatten\n"
        "delete t:$print t:$check t:$assert t:$assume t:$cover\nopt_clean\ncheck -assert\n"
        f"rename -top {PLAIN_NAME}\nwrite_verilog -noattr -extmem plain.v\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        for name, text in verilog.items():
            Path(folder, name).write_text(text, encoding="utf-8", newline="\n")
        try:
            run_yosys(script, Path(folder), limit_s=LIMIT_S)
        except RtlError as error:
            if f"Module `{top}' not found" in str(error) or f"\\{top}' not found" in str(error):
                raise RtlError(_not_there(verilog, top)) from None
            raise
        written = (Path(folder, "plain.v"), *Path(folder).glob("plain-*.mem"))
        plain = {path.name: path.read_text(encoding="utf-8") for path in written}
        return _module(Path(folder, "module.json").read_bytes(), top, plain)


def _not_there(verilog: Mapping[str, str], top: str) -> str:
    sources = _sources(verilog)
    known = re.findall(r"^\s*module\s+(\w+)", "\n".join(verilog[name] for name in sources), re.MULTILINE)
    return f"{', '.join(sources)}: no module {top!r}; found {', '.join(known) or 'none'}{did_you_mean(top, known)}"


def _module(document: bytes, top: str, plain: Mapping[str, str]) -> Module:
    modules = msgspec.json.decode(document)["modules"]
    found = next(one for name, one in modules.items() if name == top or int(one["attributes"].get("top", "0"), 2))
    ports = {name: (port["direction"], len(port["bits"])) for name, port in found["ports"].items()}
    return Module(ports, tuple(found.get("parameter_default_values", {})), plain)
