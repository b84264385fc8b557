"""SCALE-Sim's configuration files as accelerators.

The file says nothing of clock, energy, word width or vector unit: these are chosen, and the record's source says so. With
``InterfaceBandwidth: USER`` each of the three buffers has an interface of `Bandwidth` words of one byte a cycle, so DRAM gets
the sum of the three. With ``CALC`` SCALE-Sim looks for the bandwidth that never stalls, so DRAM gets all that a record allows.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Mapping
from types import MappingProxyType
from warnings import warn

import msgspec

from addersim.config import MAX_FILE_BYTES
from addersim.errors import AddersimWarning, ConfigError
from addersim.hardware.accelerator import Accelerator, Dataflow
from addersim.hardware.dataflow.stationary import SYSTOLIC_DATAFLOWS
from addersim.inputs.limits import SIDE, Limit
from addersim.inputs.opening import parsing
from addersim.inputs.text import one_line, printable

__all__ = ["parse_scalesim"]

CLOCK_MHZ = 1000
"""Chosen, so that a word of one byte a cycle is 1 GB/s."""
BUFFER_WORD_BITS = 64
"""Chosen: the access width of Horowitz's SRAM figures, as in the bundled accelerators."""
NEVER_STALLS_GB_S = 1e6
"""Chosen: the largest bandwidth that the record allows."""
MAX_BANDWIDTH = 100_000

DATAFLOWS: Mapping[str, Dataflow] = {f"{name[0]}s": name for name in SYSTOLIC_DATAFLOWS}
ARCHITECTURE = "architecture_presets"
_NOT_ONE = "not a configuration file of SCALE-Sim"
_BANK = ("SRAMBankBandwidth", "SRAMBankNum", "SRAMBankPort")
_BUFFERS = tuple(f"{name}SramSz{unit}" for name in ("Ifmap", "Filter", "Ofmap") for unit in ("kB", ""))
_OFFSETS = ("IfmapOffset", "FilterOffset", "OfmapOffset")
_REQUESTS = ("MemoryBanks", "ReadRequestBuffer", "WriteRequestBuffer")
_SPARSITY = ("SparseRep", "OptimizedMapping", "BlockSize", "NonZeroElems", "RandomNumberGeneratorSeed")
KEYS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "general": ("run_name",),
        ARCHITECTURE: ("ArrayHeight", "ArrayWidth", "Bandwidth", "Dataflow", *_BUFFERS, *_OFFSETS, *_REQUESTS),
        "layout": tuple(f"{name}{key}" for name in ("Ifmap", "Filter") for key in ("CustomLayout", *_BANK)),
        "sparsity": ("SparsitySupport", *_SPARSITY),
        "run_presets": ("InterfaceBandwidth", "UseRamulatorTrace"),
        "network_presets": ("TopologyCsvLoc",),
    }
)
"""Keys of SCALE-Sim 2 and 3 by section: what is read, and what changes nothing where that to which it belongs is off."""


def parse_scalesim(text: str, where: str) -> Accelerator:
    """Read a configuration file of SCALE-Sim, version 2 or 3.

    Parameters
    ----------
    text
        The INI document.
    where
        Name of the source, for messages.

    Raises
    ------
    ConfigError
        Not INI, a key that is missing or holds something else, or what is not modelled: sparsity, custom layouts, Ramulator.

    Warns
    -----
    AddersimWarning
        Keys or sections that SCALE-Sim does not have: misspelt ones, and those of its offspring.

    Examples
    --------
    >>> text = '''[architecture_presets]
    ... ArrayHeight: 12
    ... ArrayWidth: 14
    ... IfmapSramSzkB: 36
    ... FilterSramSzkB: 36
    ... OfmapSramSzkB: 36
    ... Dataflow: ws'''
    >>> parse_scalesim(text, "eyeriss.cfg").array.dataflow
    'weight'
    """
    file = _read(text, where)
    if unknown := _unknown(file, text):
        warn(f"{where}: {unknown}, which SCALE-Sim 2 and 3 do not have: without effect here", AddersimWarning, stacklevel=2)
    for section, key in (
        ("sparsity", "SparsitySupport"),
        ("layout", "IfmapCustomLayout"),
        ("layout", "FilterCustomLayout"),
        ("run_presets", "UseRamulatorTrace"),
    ):
        if file.get(section, key, fallback="false").strip().lower() not in ("false", "no", "off", "0", ""):
            raise ConfigError(f"{where}: [{section}] {key}: {file.get(section, key)!r} is not supported; only False")
    rows, columns = _number(file, where, "ArrayHeight", most=SIDE.most), _number(file, where, "ArrayWidth", most=SIDE.most)
    dataflow = _text(file, where, "Dataflow").strip("\"'").lower()
    if dataflow not in DATAFLOWS:
        raise ConfigError(f"{where}: [{ARCHITECTURE}] Dataflow: {dataflow[:40]!r} is not one of {', '.join(DATAFLOWS)}")
    buffers = {
        name: {"capacity_kib": _number(file, where, key, key.removesuffix("kB")), "word_bits": BUFFER_WORD_BITS}
        for name, key in (("input", "IfmapSramSzkB"), ("weight", "FilterSramSzkB"), ("output", "OfmapSramSzkB"))
    }
    record = {
        "name": (file.get("general", "run_name", fallback="").strip(" \"'") or "scale-sim")[:100],
        "about": f"{rows} x {columns} from a SCALE-Sim file",
        "source": f"{where}; chosen, for the file has none: clock, word width, vector lanes, DRAM kind",
        "clock_mhz": CLOCK_MHZ,
        "array": {"rows": rows, "columns": columns, "dataflow": DATAFLOWS[dataflow]},
        "buffers": {**buffers, "keep_activations": False, "keep_weights": False},  # layer by layer, through DRAM
        "dram": {"bandwidth_gb_s": _bandwidth_gb_s(file, where)},
        "vector": {"lanes": columns},
    }
    try:
        return msgspec.convert(record, Accelerator)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {error}") from None


def _read(text: str, where: str) -> configparser.ConfigParser:
    if len(text) > MAX_FILE_BYTES:
        raise ConfigError(f"{where}: larger than {MAX_FILE_BYTES} characters")
    file = configparser.ConfigParser(interpolation=None)
    with parsing(where, _NOT_ONE, ConfigError):
        try:
            file.read_string(text)
        except configparser.Error as fault:
            raise ConfigError(f"{where}: {_NOT_ONE}: {_in_words(fault, text)}") from None
    if not file.has_section(ARCHITECTURE):
        raise ConfigError(f"{where}: section [{ARCHITECTURE}] is missing; found: {', '.join(file.sections())[:200] or 'none'}")
    return file


def _in_words(fault: configparser.Error, text: str) -> str:
    """What is wrong with an INI document and what to do, where the parser's own text gives its source and no advice."""
    match fault:
        case configparser.MissingSectionHeaderError(lineno=line, line=found):
            return f"line {line} is {_short(found)}, before any section; put a line [{ARCHITECTURE}] above its keys"
        case configparser.DuplicateOptionError(lineno=int(line), section=section):
            key = re.split("[:=]", text.splitlines()[line - 1])[0].strip()  # as it is written: the fault has small letters
            return f"line {line}: key {_short(key)} of [{printable(section)[:40]}] stands there twice; keep one"
        case configparser.DuplicateSectionError(lineno=line, section=section):
            return f"line {line}: section [{printable(section)[:40]}] stands there twice; put its keys together"
        case configparser.ParsingError(errors=[(line, _), *_]):
            return f"line {line} is {_short(text.split(chr(10))[line - 1])}, neither a [section] nor key = value"
        case _:
            return one_line(str(fault))


def _short(text: str) -> str:
    return repr(printable(text.strip())[:40])


def _unknown(file: configparser.ConfigParser, text: str) -> str:
    """Keys that are not among `KEYS`, as the file spells them, by section; whole sections that are not."""
    found = []
    for section in file.sections():
        known = {key.lower() for key in KEYS.get(section, ())}
        own = [key for key in file[section] if key not in known and key not in file.defaults()]
        spelt = [_spelt(key, text) for key in own]
        if spelt:
            found.append(f"[{printable(section)[:40]}] {', '.join(spelt[:5])}{', ...' * (len(spelt) > 5)}")
        elif section not in KEYS:
            found.append(f"[{printable(section)[:40]}]")
    return "; ".join(found[:3]) + "; ..." * (len(found) > 3)


def _spelt(key: str, text: str) -> str:
    """A key as the file has it: the parser has lowered its letters."""
    match = re.search(rf"^\s*({re.escape(key)})\s*[:=]", text, re.IGNORECASE | re.MULTILINE)
    return printable(match[1] if match else key)[:40]


def _text(file: configparser.ConfigParser, where: str, key: str, *others: str) -> str:
    for one in (key, *others):
        if text := file.get(ARCHITECTURE, one, fallback="").strip():
            return text
    raise ConfigError(f"{where}: [{ARCHITECTURE}] {key} is missing")


def _number(file: configparser.ConfigParser, where: str, key: str, *others: str, most: int = 1_048_576) -> int:
    return _whole(_text(file, where, key, *others), f"{where}: [{ARCHITECTURE}] {key}", most)


def _whole(text: str, where: str, most: int) -> int:
    return Limit(1, most).read(text, where)


def _bandwidth_gb_s(file: configparser.ConfigParser, where: str) -> float:
    mode = file.get("run_presets", "InterfaceBandwidth", fallback="CALC").strip()
    if mode == "CALC":
        return NEVER_STALLS_GB_S
    if mode != "USER":
        raise ConfigError(f"{where}: [run_presets] InterfaceBandwidth: {mode[:40]!r} is neither CALC nor USER")
    first = _text(file, where, "Bandwidth").split(",")[0].strip()
    return 3 * _whole(first, f"{where}: [{ARCHITECTURE}] Bandwidth", MAX_BANDWIDTH) * CLOCK_MHZ / 1000
