"""The syntax of Liberty files: groups within groups, each with attributes; read bounded, from plain, .gz and .xz files.

Whatever is wrong is told in one line. What a group means is `liberty`'s to say.
"""

from __future__ import annotations

import lzma
import os
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from addersim.errors import ConfigError
from addersim.inputs.limits import shown
from addersim.inputs.opening import read_file, source

__all__ = ["MAX_DEPTH", "MAX_LIBRARY_BYTES", "Group", "parse_groups", "read_library_text"]

MAX_LIBRARY_BYTES = 48 << 20
"""Largest text of a library that is read, unpacked: three times that of the largest open one, of 428 cells."""
MAX_DEPTH = 12
"""Groups within groups: library, cell, bundle, pin, timing, table are six."""

_XZ_MEMORY = 128 << 20
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}():;,]|[^\s{}():;,"]+|"', re.DOTALL)


@dataclass(slots=True)
class Group:
    """A group: ``kind (arguments) { attributes and groups }``.

    Attributes
    ----------
    kind, arguments
        What stands before its brace.
    simple
        Attributes with a colon, by name.
    complex
        Attributes with parentheses, by name: the arguments of each time that it stands there.
    groups
        The groups inside.
    start, end
        Where it stands in the text without comments.
    """

    kind: str
    arguments: list[str]
    start: int = 0
    end: int = 0
    simple: dict[str, str] = field(default_factory=dict)
    complex: dict[str, list[list[str]]] = field(default_factory=dict)
    groups: list[Group] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its first argument; empty where there is none."""
        return self.arguments[0] if self.arguments else ""

    def all(self, kind: str) -> list[Group]:
        """The groups of a kind."""
        return [group for group in self.groups if group.kind == kind]


def read_library_text(path: str | os.PathLike[str]) -> tuple[str, bytes]:
    """Text of a library, without comments, and the bytes of its file.

    Raises
    ------
    ConfigError
        The file cannot be read, is damaged, or larger than `MAX_LIBRARY_BYTES`, unpacked too.
    """
    content = read_file(path, MAX_LIBRARY_BYTES, ConfigError)
    where = source(path)
    plain = _unpacked(content, where)
    try:
        text = plain.decode("utf-8", errors="replace")
    finally:
        del plain
    return _COMMENT.sub(" ", text).replace("\\\r\n", " ").replace("\\\n", " "), content


def parse_groups(text: str, where: str) -> Group:
    """The one group that a library's text is.

    Parameters
    ----------
    text
        Without comments and continued lines, as `read_library_text` gives it.
    where
        Name of the file, for messages.

    Examples
    --------
    >>> library = parse_groups('library (small) { nom_voltage : 1.2; cell (inv) { area : 2; } }', "small.lib")
    >>> library.name, library.simple, library.all("cell")[0].simple
    ('small', {'nom_voltage': '1.2'}, {'area': '2'})
    """
    outer = Group("", [])
    open_groups = [outer]
    tokens = _Tokens(text, where)
    for token, start in tokens:
        if token in (";", ","):
            continue
        if token == "}":
            if len(open_groups) == 1:
                raise ConfigError(f"{where}: not a Liberty file: a closing brace without an opening one")
            open_groups.pop().end = start + 1
        elif token in "{():":
            raise ConfigError(f"{where}: not a Liberty file: found {shown(token)} where a name is expected")
        else:
            _statement(token, start, tokens, open_groups)
    if len(open_groups) > 1:
        last = open_groups[-1]
        raise ConfigError(f"{where}: ends inside {last.kind} {shown(last.name)}: the file is cut off")
    if [group.kind for group in outer.groups] != ["library"]:
        raise ConfigError(f"{where}: not a Liberty file: needs one group library (NAME) {{ ... }}")
    return outer.groups[0]


def _statement(name: str, start: int, tokens: _Tokens, open_groups: list[Group]) -> None:
    """What begins with a name: a group, which is left open, or an attribute."""
    where, group = tokens.where, open_groups[-1]
    token = tokens.needed()
    if token == ":":
        words = []
        while (word := tokens.needed()) not in (";", "}"):
            if word in "{(":
                raise ConfigError(f"{where}: attribute {shown(name)}: found {shown(word)} before its semicolon")
            words.append(word.strip('"'))
            if tokens.at_line_end():  # some writers leave out semicolons
                break
        if word == "}":
            tokens.push_back()
        group.simple[name] = " ".join(words)
        return
    if token != "(":
        raise ConfigError(f"{where}: not a Liberty file: {shown(name)} is followed by {shown(token)}, not by ':' or '('")
    arguments: list[str] = []
    while (word := tokens.needed()) != ")":
        if word in "{};":
            raise ConfigError(f"{where}: {shown(name)}: found {shown(word)} before its closing parenthesis")
        if word not in ",:":
            arguments.append(word.strip('"'))
    if tokens.next_is("{"):
        if len(open_groups) > MAX_DEPTH:
            raise ConfigError(f"{where}: {shown(name)}: groups more than {MAX_DEPTH} deep; no library has such")
        inner = Group(name, arguments, start)
        group.groups.append(inner)
        open_groups.append(inner)
    else:
        group.complex.setdefault(name, []).append(arguments)


class _Tokens:
    """Tokens of a text with their places, of which one may be given back."""

    def __init__(self, text: str, where: str) -> None:
        self.where, self._text = where, text
        self._found = _TOKEN.finditer(text)
        self._last: re.Match[str] | None = None
        self._again = False

    def __iter__(self) -> Iterator[tuple[str, int]]:
        return self

    def __next__(self) -> tuple[str, int]:
        if self._again and self._last is not None:
            self._again = False
        else:
            self._last = next(self._found)
        token = self._last[0]
        if token == '"':
            raise ConfigError(f"{self.where}: ends inside a quoted text: the file is cut off")
        return token, self._last.start()

    def needed(self) -> str:
        """The next token, of a statement that is not over yet."""
        try:
            return next(self)[0]
        except StopIteration:
            raise ConfigError(f"{self.where}: ends in the middle of a statement: the file is cut off") from None

    def push_back(self) -> None:
        """Give the last token once more."""
        self._again = True

    def next_is(self, wanted: str) -> bool:
        """Take the next token if it is the one that is wanted."""
        try:
            token, _ = next(self)
        except StopIteration:
            return False
        if token != wanted:
            self.push_back()
        return token == wanted

    def at_line_end(self) -> bool:
        """Whether nothing but spaces stands between the last token and the end of its line."""
        assert self._last is not None
        end = self._text.find("\n", self._last.end())
        return not self._text[self._last.end() : len(self._text) if end < 0 else end].strip()


def _unpacked(content: bytes, where: str) -> bytes:
    """Bytes as they are, or unpacked where they are of gzip or xz, of at most `MAX_LIBRARY_BYTES`."""
    if content[:2] == b"\x1f\x8b":
        packed, kind = zlib.decompressobj(wbits=31), "gzip"
    elif content[:6] == b"\xfd7zXZ\x00":
        packed, kind = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY), "xz"  # type: ignore[assignment]
    else:
        return content
    try:
        plain = packed.decompress(content, MAX_LIBRARY_BYTES + 1)
    except (zlib.error, lzma.LZMAError, EOFError) as fault:
        raise ConfigError(f"{where}: damaged {kind} file: {fault}") from None
    if len(plain) > MAX_LIBRARY_BYTES:
        raise ConfigError(
            f"{where}: larger than {MAX_LIBRARY_BYTES:,} bytes when unpacked, the most that is read here; cut it to the cells"
            " that are needed"
        )
    if not packed.eof:
        raise ConfigError(f"{where}: damaged {kind} file: it is cut off")
    return plain
