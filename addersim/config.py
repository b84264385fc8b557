"""TOML into frozen records, and the data files that come with the package.

A record is a frozen msgspec Struct that forbids unknown fields. What a file gets wrong is told in one line: the file, the
key's path, what was found and what is allowed.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from addersim.errors import AddersimError, ConfigError, check_name
from addersim.inputs.limits import Limit, shown
from addersim.inputs.opening import STANDARD, near_file, parsing, read_file, source
from addersim.inputs.text import did_you_mean

__all__ = [
    "MAX_FILE_BYTES",
    "bundled_names",
    "find_file",
    "load_toml",
    "make_record",
    "parse_toml",
    "read_text",
    "resolve_text",
    "toml_value",
    "toml_values",
]

MAX_FILE_BYTES = 1_000_000
"""Largest text file that is read: configurations and tables are a few kilobytes."""

MOST_PARTS = 1_000
"""Parts of a dotted key of TOML."""
_DATA = Path(__file__).parent / "data"

Record = TypeVar("Record", bound=msgspec.Struct)


def load_toml(path: str | os.PathLike[str], record: type[Record]) -> Record:
    """Read a TOML file of at most `MAX_FILE_BYTES` as a record.

    Raises
    ------
    ConfigError
        The file is missing, too large, not text, not TOML, or does not fit the record.
    """
    return parse_toml(read_text(path), record, source(path))


def parse_toml(text: str, record: type[Record], where: str) -> Record:
    """Read TOML text as a record.

    Parameters
    ----------
    text
        The TOML document.
    record
        A frozen Struct type with ``forbid_unknown_fields``.
    where
        Name of the source, for messages.

    Raises
    ------
    ConfigError
        The text is not TOML or does not fit the record.

    Examples
    --------
    >>> class Clock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    ...     clock_mhz: float
    >>> parse_toml("clock_mhz = 500", Clock, "example")
    Clock(clock_mhz=500.0)
    >>> parse_toml("clock = 500", Clock, "example")
    Traceback (most recent call last):
    addersim.errors.ConfigError: example: unknown key clock; known: clock_mhz; did you mean clock_mhz?
    """
    return make_record(toml_values(text, where), record, where)


def toml_values(text: str, where: str) -> dict[str, Any]:
    """Read TOML text as plain values.

    Raises
    ------
    ConfigError
        The text is not TOML, or a key has more than `MOST_PARTS` parts: the parser's time grows with their square.
    """
    with parsing(where, "not valid TOML", ConfigError):
        for number, line in enumerate(text.split("\n"), 1):
            if line.count(".") > MOST_PARTS and any(part.count(".") > MOST_PARTS for part in re.split(r"[][={},#]", line)):
                raise ConfigError(f"{where}: line {number}: a key of more than {MOST_PARTS:,} parts")
        return tomllib.loads(text)


def toml_value(text: str) -> Any:
    """A number, a truth value or a list as TOML writes it, else the text itself."""
    try:
        return toml_values(f"value = {text}", "value")["value"]
    except ConfigError:
        return text


def make_record(values: Any, record: type[Record], where: str) -> Record:
    """Plain values as a record; ConfigError says what does not fit, `where` before it."""
    with parsing(where, f"not a sound {record.__name__}", ConfigError):
        try:
            return msgspec.convert(values, record)
        except msgspec.ValidationError as error:
            raise ConfigError(f"{where}: {_explain(str(error), values, record)}") from None


def read_text(path: str | os.PathLike[str]) -> str:
    """Text of a UTF-8 file, or of standard input for ``-``, of at most `MAX_FILE_BYTES`."""
    content = read_file(path, MAX_FILE_BYTES, ConfigError)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{source(path)}: not UTF-8 text: byte {error.start} is 0x{content[error.start]:02x}") from None


def bundled_names(folder: str, suffix: str) -> tuple[str, ...]:
    """Names, without suffix, of the data files of one folder of the package.

    Examples
    --------
    >>> "systolic-16x16" in bundled_names("accelerators", ".toml")
    True
    """
    files = (_DATA / folder).iterdir()
    return tuple(sorted(file.name.removesuffix(suffix) for file in files if file.name.endswith(suffix)))


def resolve_text(name: str | os.PathLike[str], folder: str, suffix: str, what: str) -> tuple[str, str, str]:
    """Find a bundled data file by its name, or a user's file by its path.

    Parameters
    ----------
    name
        A bundled name (without suffix), else the path of a file.
    folder, suffix
        Where bundled files lie in the package's data, and how they end.
    what
        What is looked for, for messages.

    Returns
    -------
    name, where, text
        Short name (the file's stem), name of the source for messages, and the text.

    Raises
    ------
    ConfigError
        Neither a bundled name nor a readable file.
    """
    file, bundled = find_file(name, folder, suffix, what)
    text = file.read_text("utf-8") if bundled else read_text(file)
    return Path(source(file)).stem, f"{what} {name}" if bundled else source(file), text


def find_file(
    name: str | os.PathLike[str],
    folder: str,
    suffix: str,
    what: str,
    error: type[AddersimError] = ConfigError,
    others: str = "",
    more: Callable[[], Iterable[str]] = tuple,
) -> tuple[Path, bool]:
    """Path of a bundled data file by its name, or of a user's file; and whether it is bundled.

    Parameters
    ----------
    name, folder, suffix, what
        As in `resolve_text`.
    error, others, more
        What is raised where there is neither; what else has a name, in words for its message, and what
        gives those names.
    """
    check_name(name, what)
    known = bundled_names(folder, suffix)
    if isinstance(name, str) and name in known:
        return _DATA / folder / f"{name}{suffix}", True
    if os.fspath(name) != STANDARD and not os.path.lexists(name):
        ended = f"{os.fspath(name)}{suffix}"
        near = f"; did you mean {shown(ended)}?" if os.path.isfile(ended) else near_file(name, (*known, *more()))
        raise error(f"{what} {shown(os.fspath(name))}: neither a bundled name ({', '.join(known)}) nor a file{others}{near}")
    return Path(name), False


def _explain(message: str, found: Any, record: type) -> str:
    """Turn a validation message of msgspec, which speaks of ``$.array.rows``, into key, found value and allowed values."""
    reason, _, path = message.partition(" - at `")
    steps = re.findall(r"\.([^.\[]+)|\[(\d+)\]", path.rstrip("`"))
    keys: list[str | int] = [int(index) if index else key for key, index in steps]
    key = path.rstrip("`").removeprefix("$").removeprefix(".")
    kind: inspect.Type = inspect.type_info(record)
    try:
        for step in keys:
            found, kind = found[step], _member(kind, step)
    except (KeyError, IndexError, TypeError):  # inside a table of free keys, whose keys msgspec prints as [...]
        return f"{key}: {reason}"
    if unknown := re.fullmatch(r"Object contains unknown field `(.*)`", reason):
        near = did_you_mean(unknown[1], _keys(kind))
        return f"unknown key {'.'.join(filter(None, (key, unknown[1])))}; known: {', '.join(_keys(kind))}{near}"
    if missing := re.fullmatch(r"Object missing required field `(.*)`", reason):
        name = missing[1]
        return f"key {'.'.join(filter(None, (key, name)))} is missing; needs {_allowed(_member(kind, name))}"
    if reason.startswith(("Expected", "Invalid")):
        near = did_you_mean(found, _words(kind)) if isinstance(found, str) else ""
        return f"{key}: found {shown(found)}, needs {_allowed(kind)}{near}"
    return f"{key}: {reason}" if key else reason


def _struct(kind: inspect.Type) -> inspect.StructType | None:
    options = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    return next((option for option in options if isinstance(option, inspect.StructType)), None)


def _keys(kind: inspect.Type) -> list[str]:
    struct = _struct(kind)
    return [field.encode_name for field in struct.fields] if struct else []


def _member(kind: inspect.Type, step: str | int) -> inspect.Type:
    options = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    for option in options:
        if isinstance(step, int) and isinstance(option, inspect.ListType | inspect.VarTupleType):
            return option.item_type
    struct = _struct(kind)
    return next((field.type for field in struct.fields if field.encode_name == step), kind) if struct else kind


def _allowed(kind: inspect.Type) -> str:
    """What a value of this type may be, in words."""
    match kind:
        case inspect.IntType() | inspect.FloatType():
            words = _number(kind)
        case inspect.StrType():
            words = "a non-empty text" if kind.min_length else "a text"
        case inspect.BoolType():
            words = "true or false"
        case inspect.LiteralType():
            words = " or ".join(repr(value) for value in kind.values)
        case inspect.StructType():
            words = f"a table with the keys {', '.join(_keys(kind))}"
        case inspect.ListType() | inspect.VarTupleType():
            words = f"a list, each item {_allowed(kind.item_type)}"
        case inspect.UnionType():
            words = " or ".join(_allowed(option) for option in kind.types if not isinstance(option, inspect.NoneType))
        case _:
            words = type(kind).__name__.removesuffix("Type").lower()
    return words


def _words(kind: inspect.Type) -> list[str]:
    """Texts that a value may be."""
    options = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    return [str(value) for one in options if isinstance(one, inspect.LiteralType) for value in one.values]


def _number(kind: inspect.IntType | inspect.FloatType) -> str:
    if isinstance(kind, inspect.IntType) and kind.ge is not None and kind.le is not None:
        return str(Limit(kind.ge, kind.le))
    return ("a whole number" if isinstance(kind, inspect.IntType) else "a number") + _limits(kind)


def _limits(kind: inspect.IntType | inspect.FloatType) -> str:
    bounds = ((">", kind.gt), (">=", kind.ge), ("<", kind.lt), ("<=", kind.le))
    words = [
        f"{sign} {value:g}" if isinstance(value, float) else f"{sign} {value}" for sign, value in bounds if value is not None
    ]
    return " " + " and ".join(words) if words else ""
