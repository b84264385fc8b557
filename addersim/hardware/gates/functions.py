"""Boolean functions of Liberty cells as truth tables: a bit for each state of up to six inputs."""

from __future__ import annotations

import re
from collections.abc import Sequence

from addersim.errors import ConfigError
from addersim.inputs.limits import shown

__all__ = ["MAX_INPUTS", "names_in", "truth_table"]

MAX_INPUTS = 6
"""Inputs of one cell: the states of so many fill 64 bits."""

_MAX_LENGTH = 2000
_MAX_DEPTH = 40
_TOKEN = re.compile(r"\s*([A-Za-z_][\w$.\[\]]*|[01]|[()!~'^&*+|])")


def names_in(function: str) -> list[str]:
    """Names of the inputs in a function, each once."""
    return list(dict.fromkeys(re.findall(r"[A-Za-z_][\w$.\[\]]*", function)))


def truth_table(function: str, inputs: Sequence[str], where: str) -> int:
    """Bit s of the result is the function's value where input k has the value of bit k of s.

    Operators as Liberty has them: ``!`` and ``~`` before, ``'`` behind what they invert; ``^``; ``&``, ``*`` or nothing
    between factors; ``+`` and ``|``.

    Raises
    ------
    ConfigError
        No such function, another name in it, or more than `MAX_INPUTS` inputs.

    Examples
    --------
    >>> bin(truth_table("!(A & B)", ["A", "B"], "nand2")), bin(truth_table("A B' + A' B", ["A", "B"], "xor2"))
    ('0b111', '0b110')
    """
    if len(inputs) > MAX_INPUTS:
        raise ConfigError(f"{where}: {len(inputs)} inputs; at most {MAX_INPUTS}: hide the cell")
    return _Parser(function, inputs, where).value()


class _Parser:
    """One function, read by recursive descent; its values in all states are bits of one number."""

    def __init__(self, function: str, inputs: Sequence[str], where: str) -> None:
        self._where, self._function, self._at, self._depth = where, function, 0, 0
        self._mask = (1 << (1 << len(inputs))) - 1
        states = range(1 << len(inputs))
        self._values = {name: sum(((s >> k) & 1) << s for s in states) for k, name in enumerate(inputs)}
        self._tokens = _TOKEN.findall(function) if len(function) <= _MAX_LENGTH else []
        if "".join(self._tokens) != re.sub(r"\s+", "", function):
            raise self._wrong("is no boolean function")

    def value(self) -> int:
        found = self._sum()
        if self._at != len(self._tokens):
            raise self._wrong("is no boolean function")
        return found

    def _wrong(self, why: str) -> ConfigError:
        return ConfigError(f"{self._where}: function {shown(self._function)}: {why}")

    def _next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _sum(self) -> int:
        found = self._product()
        while self._next() in ("+", "|"):
            self._at += 1
            found |= self._product()
        return found

    def _product(self) -> int:
        found = self._exclusive()
        while self._next() not in ("", ")", "+", "|"):
            self._at += self._next() in ("&", "*")
            found &= self._exclusive()
        return found

    def _exclusive(self) -> int:
        found = self._factor()
        while self._next() == "^":
            self._at += 1
            found ^= self._factor()
        return found

    def _factor(self) -> int:
        token = self._next()
        self._at += 1
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self._wrong(f"more than {_MAX_DEPTH} deep")
        if token in ("!", "~"):
            found = self._factor() ^ self._mask
        elif token == "(":
            found = self._sum()
            if self._next() != ")":
                raise self._wrong("a parenthesis is not closed")
            self._at += 1
        elif token in ("0", "1"):
            found = self._mask * int(token)
        elif token in self._values:
            found = self._values[token]
        else:
            raise self._wrong(f"{shown(token)} is none of its inputs {', '.join(self._values)}" if token else "it is cut off")
        self._depth -= 1
        while self._next() == "'":
            self._at += 1
            found ^= self._mask
        return found
