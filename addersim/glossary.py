"""The glossary: what the words of tables, files and this field mean, from one data file."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

import msgspec

from addersim.config import make_record, read_text
from addersim.errors import ConfigError
from addersim.inputs.text import did_you_mean

__all__ = ["Term", "find_term", "glossary"]

_FILE = Path(__file__).parent / "data" / "glossary.toml"


class Term(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A word of the glossary.

    Attributes
    ----------
    meaning
        In a sentence or two.
    where
        Verbs, files and names in Python that show it.
    group
        Which part of the field it is of.
    also
        Other names under which it appears, such as heads of columns.
    unit
        Of its numbers.
    """

    meaning: str
    where: tuple[str, ...]
    group: str = ""
    also: tuple[str, ...] = ()
    unit: str = ""


@cache
def glossary() -> Mapping[str, Term]:
    """All terms by their first name."""
    found = tomllib.loads(read_text(_FILE))
    return MappingProxyType({name: make_record(entry, Term, f"glossary: {name}") for name, entry in found.items()})


def find_term(word: str) -> tuple[str, Term]:
    """A term by any of its names, large or small letters, with spaces, commas or underscores.

    Raises
    ------
    ConfigError
        For a word that is not in it, with the nearest that is.

    Examples
    --------
    >>> find_term("Array nJ")[0], find_term("bits_needed")[0]
    ('array', 'bits needed')
    """
    names = {_plain(name): term for term, entry in glossary().items() for name in (term, *entry.also)}
    term = names.get(_plain(word))
    if term is None:
        raise ConfigError(f"explain {word!r}: is not in the glossary (addersim explain lists it){did_you_mean(word, names)}")
    return term, glossary()[term]


def _plain(name: str) -> str:
    return " ".join(re.sub(r"[_,-]", " ", name.casefold()).split())
