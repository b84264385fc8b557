"""The page of an accelerator file's keys: current, complete, and true of what is taken and refused."""

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from addersim.errors import ConfigError
from addersim.hardware.accelerator import Accelerator
from addersim.hardware.file_keys import EXAMPLE, file_tables, page
from addersim.hardware.load import parse_accelerator

ROOT = Path(__file__).parents[3]


def test_the_page_is_current():
    assert (ROOT / "docs" / "accelerator-file.md").read_text() == page(), "run make docs"
    assert "docs/accelerator-file.md" in (ROOT / "README.md").read_text()


def test_every_key_of_every_record_has_a_row_that_says_something():
    shown = {f"{name}.{key.name}".strip("."): key for table in file_tables() for name in table.names for key in table.keys}
    assert set(shown) == set(_keys(Accelerator))
    assert all(len(key.meaning) > 3 and key.takes for key in shown.values())
    rows = re.findall(r"^\| `\w+` \|", page(), re.MULTILINE)
    assert len(rows) == sum(len(table.keys) for table in file_tables())


def _keys(record, above=""):
    """Dotted names of all keys, read from the records by themselves."""
    for field in msgspec.structs.fields(record):
        inner = [one for one in getattr(field.type, "__args__", (field.type,)) if _is_record(one)]
        if inner:
            yield from _keys(inner[0], f"{above}{field.name}.")
        else:
            yield f"{above}{field.name}"


def _is_record(kind):
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def test_the_example_is_an_accelerator_and_has_no_key_too_much():
    parse_accelerator(EXAMPLE, "example.toml")
    for line in EXAMPLE.splitlines():
        if "=" in line:
            with pytest.raises(ConfigError):
                parse_accelerator(EXAMPLE.replace(f"{line}\n", "", 1), "example.toml")


@pytest.mark.parametrize("table", file_tables(), ids=lambda table: table.names[0] or "top")
def test_limits_and_defaults_are_those_of_the_reader(table):
    """A value at a limit is taken, one beyond it is not, and a needed key is asked for."""
    for key in table.keys:
        for low, high in re.findall(r"number, (?:from|above) ([\d,]+) to ([\d,]+)", key.takes):
            for value in (int(low.replace(",", "")) - 1, int(high.replace(",", "")) + 1):
                message = _refused(table.names[-1], key.name, value)
                assert message, (table.names, key)
                assert key.name in message
        if "text" in key.takes and "to" not in key.takes:
            assert _refused(table.names[-1], key.name, 5)


def _refused(name, key, value):
    """What the reader says of the example with one value; empty where it takes it."""
    document = tomllib.loads(EXAMPLE)
    if name == "array.row_stationary":
        document["array"] = {"rows": 12, "columns": 14, "dataflow": "row"}
        document["array"]["row_stationary"] = {"input_words": 12, "weight_words": 224, "sum_words": 24}
    place = document
    for part in filter(None, name.split(".")):
        place = place.setdefault(part, {})
    place[key] = value
    try:
        parse_accelerator(_toml(document), "own.toml")
    except ConfigError as error:
        return str(error)
    return ""


def _toml(document, above=""):
    plain = [f"{key} = {value!r}".replace("'", '"') for key, value in document.items() if not isinstance(value, dict)]
    plain = [line.replace("True", "true").replace("False", "false") for line in plain]
    tables = [
        f"[{above}{key}]\n{_toml(value, f'{above}{key}.')}" for key, value in document.items() if isinstance(value, dict)
    ]
    return "\n".join([*plain, *tables])
