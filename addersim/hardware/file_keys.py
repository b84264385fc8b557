"""The keys of an accelerator file as a page of Markdown, from the records: their limits, defaults and docstrings.

``python -m addersim.hardware.file_keys`` prints it; ``make docs`` writes it to ``docs/accelerator-file.md``.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
from msgspec import inspect as types

from addersim.hardware.accelerator import Accelerator

__all__ = ["EXAMPLE", "Key", "Table", "file_tables", "page"]

EXAMPLE = """\
name = "my-array"
source = "chosen"
clock_mhz = 500

[array]
rows = 16
columns = 16
dataflow = "output"

[buffers]
keep_activations = true

[buffers.unified]
capacity_kib = 256

[dram]
bandwidth_gb_s = 12.8

[vector]
lanes = 16
"""
_HEAD = f"""\
# The accelerator file

An accelerator is a TOML file; every verb that takes `--accelerator NAME` takes its path, and `addersim check FILE` says what
is wrong with it. A key that stands in no table below is refused, and so is a value beyond its limits. The smallest file, whose
other keys have their defaults:

```toml
{EXAMPLE}```

The bundled ones (`addersim list accelerators`, `addersim/data/accelerators/`) say beside each number where it is from.

This page is made from the records in `addersim/hardware/accelerator.py` by `make docs`; the rules it names (`idle`,
`residency`, ...) are modules beside them.
"""


class Key(NamedTuple):
    """One key of a table: what it takes, what holds where it is left out, and what it means; no default where it is needed."""

    name: str
    takes: str
    default: str | None
    meaning: str


class Table(NamedTuple):
    """One table of the file, with all the names under which it may stand."""

    names: tuple[str, ...]
    needed: bool
    about: str
    keys: tuple[Key, ...]


def file_tables() -> list[Table]:
    """The tables of the file, the top level first, those inside another right behind it."""
    return [*_tables(Accelerator, ("",), True, "")]


def page() -> str:
    """The page."""
    return "\n".join([_HEAD, *("\n".join(_section(table)) for table in file_tables())])


def _section(table: Table) -> Iterator[str]:
    titles = ", ".join(f"`[{name}]`" for name in table.names if name)
    yield f"## {titles or 'Top level'}{'' if table.needed else ', where wanted'}"
    yield ""
    yield table.about
    yield ""
    yield "| key | takes | default | meaning |"
    yield "|---|---|---|---|"
    told: dict[str, str] = {}
    for key in table.keys:
        default = "needed" if key.default is None else key.default
        first = told.setdefault(key.meaning, key.name)
        meaning = key.meaning.replace("|", "\\|") if first == key.name else f"As `{first}`."
        yield f"| `{key.name}` | {key.takes} | {default} | {meaning} |"
    yield ""


def _tables(record: type[msgspec.Struct], names: tuple[str, ...], needed: bool, more: str) -> Iterator[Table]:
    about, meanings = _docstring(record)
    info = types.type_info(record)
    assert isinstance(info, types.StructType)
    inner: dict[type, list[types.Field]] = {}
    keys = []
    for field in info.fields:
        if found := _record(field.type):
            inner.setdefault(found, []).append(field)
        else:
            keys.append(Key(field.name, _takes(field.type), _default(field), meanings[field.name]))
    yield Table(names, needed, " ".join(filter(None, (about, more))), tuple(keys))
    for found, fields in inner.items():
        below = tuple(".".join(filter(None, (name, field.name))) for name in names for field in fields)
        told = " ".join(dict.fromkeys(meanings[field.name] for field in fields if field.name in meanings))
        yield from _tables(found, below, len(fields) == 1 and fields[0].required, told)


def _record(kind: types.Type) -> type[msgspec.Struct] | None:
    """The record of a key that is a table."""
    for one in kind.types if isinstance(kind, types.UnionType) else (kind,):
        if isinstance(one, types.StructType):
            return one.cls
    return None


def _default(field: types.Field) -> str | None:
    if field.required:
        return None
    if field.default is None or field.default == "":
        return "none"
    return f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"


def _takes(kind: types.Type) -> str:
    """What a key takes, in words."""
    if isinstance(kind, types.UnionType):
        return " or ".join(_takes(one) for one in kind.types if not isinstance(one, types.NoneType))
    if isinstance(kind, types.LiteralType):
        return ", ".join(f"`{value}`" for value in kind.values)
    if isinstance(kind, types.VarTupleType):
        return f"list of {_takes(kind.item_type)}"
    if isinstance(kind, types.StrType):
        return "text" if kind.max_length is None else f"text of {kind.min_length} to {kind.max_length} characters"
    if isinstance(kind, types.BoolType):
        return "`true`, `false`"
    assert isinstance(kind, types.IntType | types.FloatType), f"keys of type {kind} have no words yet"
    what = "whole number" if isinstance(kind, types.IntType) else "number"
    return f"{what}, {_limits(kind)}"


def _limits(kind: Any) -> str:
    low = f"above {kind.gt:,}" if kind.gt is not None else f"from {kind.ge:,}"
    return f"{low} to {kind.le:,.15g}"


def _docstring(record: type[msgspec.Struct]) -> tuple[str, dict[str, str]]:
    """What a record is, and what each of its attributes means."""
    text, _, attributes = (inspect.getdoc(record) or "").partition("\n\nAttributes\n----------\n")
    meanings: dict[str, str] = {}
    for names, meaning in re.findall(r"^(\w[\w, ]*)\n((?:    .*(?:\n|$)|\n)+)", attributes, re.MULTILINE):
        meanings |= dict.fromkeys(names.split(", "), _plain(meaning))
    return _plain(text), meanings


def _plain(text: str) -> str:
    """On one line, code as Markdown has it; a file has no None."""
    return re.sub(r"\bNone: ", "Left out: ", " ".join(text.split())).replace("``", "`")


if __name__ == "__main__":
    print(page(), end="")
