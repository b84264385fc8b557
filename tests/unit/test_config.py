import re
from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Meta

from addersim.config import MAX_FILE_BYTES, bundled_names, load_toml, parse_toml, read_text, resolve_text
from addersim.errors import ConfigError


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    rows: Annotated[int, Meta(ge=1, le=16)]
    flow: Literal["output", "weight"] = "output"
    share: Annotated[float, Meta(gt=0, le=1)] | None = None
    label: Annotated[str, Meta(min_length=1)] = "x"

    def __post_init__(self):
        if self.label == "odd" and self.rows % 2 == 0:
            raise ValueError("an odd label needs odd rows")


class Whole(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    part: Part
    parts: tuple[Part, ...] = ()
    named: dict[str, Part] = {}
    count: int = 0
    on: bool = True


GOOD = "part = {rows = 4}\n"


def test_a_whole_number_serves_as_a_float_and_defaults_fill_in():
    assert parse_toml("part = {rows = 4, share = 1}", Whole, "x") == Whole(part=Part(rows=4, share=1.0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("part = {rows = 0}", "file.toml: part.rows: found 0, needs a whole number in 1..16"),
        ("part = {rows = 99999999999999999999}", "part.rows: found 99999999999999999999, needs a whole number in 1..16"),
        ("part = {rows = 2.0}", "part.rows: found 2.0, needs a whole number in 1..16"),
        ("part = {rows = true}", "part.rows: found True, needs a whole number in 1..16"),
        ("part = {rows = '4'}", "part.rows: found '4', needs a whole number in 1..16"),
        ("part = {rows = 4, share = nan}", "part.share: found nan, needs a number > 0 and <= 1"),
        ("part = {rows = 4, share = inf}", "part.share: found inf, needs a number > 0 and <= 1"),
        ("part = {rows = 4, share = 1979-05-27}", "needs a number > 0 and <= 1"),
        ("part = {rows = 4, flow = 'row'}", "part.flow: found 'row', needs 'output' or 'weight'"),
        ("part = {rows = 4, flow = 3}", "part.flow: found 3, needs 'output' or 'weight'"),
        ("part = {rows = 4, label = ''}", "part.label: found '', needs a non-empty text"),
        ("part = {rows = 4, label = 'odd'}", "part: an odd label needs odd rows"),
        ("part = {flow = 'output'}", "key part.rows is missing; needs a whole number in 1..16"),
        ("count = 1", "file.toml: key part is missing; needs a table with the keys rows, flow, share, label"),
        ("part = 3", "part: found 3, needs a table with the keys rows, flow, share, label"),
        ("part = {row = 4, rows = 4}", "unknown key part.row; known: rows, flow, share, label"),
        (GOOD + "colour = 1", "file.toml: unknown key colour; known: part, parts, named, count, on"),
        (GOOD + "on = 1", "on: found 1, needs true or false"),
        (GOOD + "parts = [{rows = 4}, {rows = 0}]", "parts[1].rows: found 0, needs a whole number in 1..16"),
        (GOOD + "parts = 3", "parts: found 3, needs a list, each item a table with the keys"),
        (GOOD + "named = {a = {rows = 0}}", "named[...].rows: Expected `int` >= 1"),
        ("part = {rows = }", "file.toml: not valid TOML: Invalid value (at line 1, column 16)"),
        ("count = 1\ncount = 2\n", "file.toml: not valid TOML: Cannot overwrite a value (at line 2"),
        ("count = " + "9" * 5000, "file.toml: not valid TOML"),
        ("part = {rows = '" + "x" * 99 + "'}", "part.rows: found '" + "x" * 56 + "..., needs a whole number"),
        ("part = " + "[" * 5000, "file.toml: not valid TOML"),
        (GOOD + "a" + ".a" * 100_000 + " = 1", "file.toml: line 2: a key of more than 1,000 parts"),
        ("[" + "a." * 100_000 + "a]", "file.toml: line 1: a key of more than 1,000 parts"),
        ("part = {rows = 4, " + "'a'." * 100_000 + "a = 1}", "file.toml: line 1: a key of more than 1,000 parts"),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(text, message):
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        parse_toml(text, Whole, "file.toml")
    assert str(caught.value).startswith("file.toml: ")
    assert "\n" not in str(caught.value)


def test_a_file_is_read_with_its_path_in_messages(tmp_path):
    path = tmp_path / "one.toml"
    path.write_text("\ufeff" + GOOD, encoding="utf-8")  # the byte order mark of some editors
    assert load_toml(path, Whole).part.rows == 4
    path.write_text("part = 3", encoding="utf-8")
    with pytest.raises(ConfigError, match=re.escape(f"{path}: part: found 3")):
        load_toml(path, Whole)


def test_files_that_cannot_be_configurations(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read: No such file"):
        load_toml(tmp_path / "none.toml", Whole)
    with pytest.raises(ConfigError, match="cannot be read: is a directory"):
        load_toml(tmp_path, Whole)
    big = tmp_path / "big.toml"
    big.write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    with pytest.raises(ConfigError, match=r"big\.toml: larger than 1,000,000 bytes"):
        load_toml(big, Whole)
    big.write_bytes(b"#" * MAX_FILE_BYTES)
    assert len(read_text(big)) == MAX_FILE_BYTES
    big.write_bytes(b"a = '\xff'")
    with pytest.raises(ConfigError, match="not UTF-8 text: byte 5 is 0xff"):
        load_toml(big, Whole)


def test_bundled_files_are_found_by_name_and_users_files_by_path(tmp_path):
    name, where, text = resolve_text("systolic-16x16", "accelerators", ".toml", "accelerator")
    assert (name, where) == ("systolic-16x16", "accelerator systolic-16x16")
    copy = tmp_path / "mine.toml"
    copy.write_text(text, encoding="utf-8")
    assert resolve_text(copy, "accelerators", ".toml", "accelerator") == ("mine", str(copy), text)


@pytest.mark.parametrize("name", ["systolic-16", "../accelerators/systolic-16x16", "systolic-16x16.toml", ""])
def test_a_name_that_is_neither_bundled_nor_a_file_lists_the_known_ones(name):
    known = ", ".join(bundled_names("accelerators", ".toml"))
    with pytest.raises(ConfigError, match=re.escape(f"neither a bundled name ({known}) nor a file")):
        resolve_text(name, "accelerators", ".toml", "accelerator")
