"""The option --vary: values for fields of an accelerator."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from addersim.config import toml_value
from addersim.errors import ConfigError
from addersim.inputs.limits import repeated, shown

__all__ = ["Vary", "grid_of"]

Vary = Annotated[
    list[str] | None,
    typer.Option(
        "--vary",
        metavar="FIELD=VALUES",
        help="A field of the accelerator and its values: array.rows=8,16,32. Every memory of the first level: "
        "'buffers.*.capacity_kib=32,64'; fields of one value: array.rows+array.columns=8,16.",
    ),
]


def grid_of(vary: Sequence[str] | None, file: Path | None = None) -> dict[str, Any]:
    """A grid from a file and options, which come after it and replace its fields."""
    from addersim.config import read_text, toml_values
    from addersim.hardware.designs.design_grid import flat_grid
    from addersim.inputs.opening import source

    found: dict[str, Any] = {}
    if file is not None:
        found = flat_grid(toml_values(read_text(file), source(file)))
    for text in vary or ():
        field, equals, values = text.partition("=")
        if not equals or not field.strip() or not values.strip():
            raise ConfigError(f"--vary: found {shown(text)}, needs FIELD=VALUES, such as array.rows=8,16,32")
        found[field.strip()] = chosen = [_value(one.strip()) for one in values.split(",")]
        if twice := repeated(chosen):
            raise ConfigError(f"--vary {field.strip()}: found {shown(twice[0])} twice; give each value once")
    return found


def _value(text: str) -> Any:
    """A number, true, false or none; else the text itself."""
    if text == "none":
        return None
    return toml_value(text)
