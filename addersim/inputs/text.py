"""Text from data as people may see it: names in files can hold anything, terminals and spreadsheets obey some of it."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable
from typing import Any

__all__ = ["cell", "did_you_mean", "one_line", "plain_json", "printable"]

_FORMULA = tuple("=+-@\t\r＝＋－＠")  # noqa: RUF001  # the wide ones count in some languages of spreadsheets
_BEYOND = re.compile("[^\n -~]")
_LONGEST_NAME = 100
_SHORTEST_PART = 4
_SPACE = "Zs"
"""Category of no-break and wide spaces, which do nothing but stand there."""


def printable(text: str) -> str:
    """A text without characters that control: escapes, line ends, directions, marks of byte order, lone surrogates.

    Examples
    --------
    >>> printable("caf\u00e9 \\x1b[31m \\u202e")
    'café \\\\x1b[31m \\\\u202e'
    """
    return text if text.isprintable() else "".join(map(_shown, text))


def _shown(character: str) -> str:
    if character.isprintable() or unicodedata.category(character) == _SPACE:
        return character
    return character.encode("unicode_escape").decode()


def plain_json(text: str) -> str:
    r"""A JSON document in which what is not `printable` is written as JSON's own escapes: the document is the same.

    Examples
    --------
    >>> plain_json('{"name": "a\x9b\u202eb"}')
    '{"name": "a\\u009b\\u202eb"}'
    """
    return text if text.isascii() and "\x7f" not in text else _BEYOND.sub(_json_escape, text)


def _json_escape(found: re.Match[str]) -> str:
    character = found[0]
    if _shown(character) == character:
        return character
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[place : place + 4]}" for place in range(0, len(units), 4))


def one_line(text: str) -> str:
    """A message as one `printable` line; its own line ends become spaces."""
    return printable(re.sub(r"\s*[\r\n]+\s*", " ", text.strip()))


def cell(value: Any) -> Any:
    """A value as a cell of a CSV file: text is `printable`, and an apostrophe keeps it from being run as a formula.

    Numbers stay numbers, also negative ones.

    Examples
    --------
    >>> cell("=1+1"), cell(-1.5)
    ("'=1+1", -1.5)
    """
    if not isinstance(value, str):
        return value
    return ("'" if value.startswith(_FORMULA) else "") + printable(value)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a message about a name that is not known: the nearest of those that are, empty where none is near.

    Examples
    --------
    >>> did_you_mean("lenet5-ader", ["lenet5-adder", "lenet5-conv"])
    '; did you mean lenet5-adder?'
    >>> did_you_mean("resnet", ["mnist"])
    ''
    >>> did_you_mean("resnet18", ["resnet18-adder", "resnet18-conv", "resnet18-cifar-conv"])
    '; did you mean resnet18-adder or resnet18-conv?'
    >>> did_you_mean("batch_size", ["batch", "norm_batches"])
    '; did you mean batch?'
    """
    plain = {one.lower(): one for one in known}
    begun = [one for one in plain if one.startswith(f"{name[:_LONGEST_NAME].lower()}-")]
    if begun:  # a part of names, as lists have them: the first and the last of those that say least beyond it
        fewest = min(one.count("-") for one in begun)
        offered = [plain[one] for one in begun if one.count("-") == fewest]
        return f"; did you mean {' or '.join(dict.fromkeys((offered[0], offered[-1])))}?"
    wanted = name[:_LONGEST_NAME].lower()
    near = difflib.get_close_matches(wanted, plain, n=1, cutoff=0.7)
    shorter = (one for one in plain if len(one) >= _SHORTEST_PART and wanted.startswith((f"{one}_", f"{one}-")))
    near = near or sorted(shorter, key=len)[-1:]
    return f"; did you mean {plain[near[0]]}?" if near else ""
