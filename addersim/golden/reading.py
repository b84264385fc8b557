"""Golden vectors read back from the folder that holds them: a layer's words without its network."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from addersim.errors import ConfigError
from addersim.golden.vectors import LayerVectors
from addersim.inputs.opening import MAX_FILE_BYTES, parsing, read_file
from addersim.rtl.elements import CIRCUITS, Element, signed
from addersim.rtl.shapes import LayerShape

__all__ = ["read_vectors"]

Words = npt.NDArray[np.int64]

DOCUMENT = "layer.json"
_MOST_DOCUMENT_BYTES = 64 << 20
_MOST_BITS = 64
_MOST_SIZE = 1 << 31
_LEAST = {"padding_y": 0, "padding_x": 0, "zero_point": 0}
"""Of what may be less than 1."""


class _Document(msgspec.Struct, frozen=True):
    network: str
    layer: str
    element: Element
    shape: LayerShape


def read_vectors(folder: Path) -> LayerVectors:
    """What `addersim.golden.files.write_vectors` wrote, of the files ``layer.json`` and ``*.hex``; without the codes.

    Raises
    ------
    ConfigError
        For a file that is not there, damaged, or of another layer.
    """
    path = folder / DOCUMENT
    if not path.is_file():
        raise ConfigError(f"{folder}: no {DOCUMENT} there; addersim export NETWORK --layer NAME --vectors DIR writes it")
    text = read_file(path, _MOST_DOCUMENT_BYTES, ConfigError)
    with parsing(str(path), "is no description of a layer's words", ConfigError):
        found = msgspec.json.decode(text, type=_Document)
        facts: dict[str, Any] = msgspec.json.decode(text)
    element, shape = found.element, found.shape
    _check(path, element, shape)
    filters = shape.groups * shape.group_filters
    inputs = _words(folder / "inputs.hex", shape.height * shape.width * shape.channels, element.input_bits)
    weights = _words(folder / "weights.hex", filters * shape.taps, element.weight_bits)
    sums = _words(folder / "sums.hex", shape.pixels * filters, element.accumulator_bits)
    return LayerVectors(
        network=found.network,
        layer=found.layer,
        element=element,
        shape=shape,
        inputs=inputs.view(np.int64),
        weights=weights.view(np.int64).reshape(filters, shape.taps),
        sums=signed(sums, element.accumulator_bits).reshape(shape.pixels, filters),
        codes=None,
        facts=facts,
    )


def _check(path: Path, element: Element, shape: LayerShape) -> None:
    """Numbers that belong together: what follows from them is not looked at again."""
    if element.circuit not in CIRCUITS:
        raise ConfigError(f"{path}: element.circuit: {element.circuit!r} is none of {', '.join(CIRCUITS)}")
    for name in ("input_bits", "weight_bits", "accumulator_bits"):
        _check_number(f"{path}: element.{name}", getattr(element, name), 1, _MOST_BITS)
    for one in fields(shape):
        _check_number(f"{path}: shape.{one.name}", getattr(shape, one.name), _LEAST.get(one.name, 1), _MOST_SIZE)
    for name, value in (
        ("pixels", shape.out_height * shape.out_width),
        ("channels", shape.groups * shape.group_channels),
        ("taps", shape.taps // (row := shape.kernel_width * shape.group_channels) * row),
    ):
        if getattr(shape, name) != value:
            raise ConfigError(f"{path}: shape.{name}: {getattr(shape, name)} is not {value}, which the other sizes make it")


def _check_number(where: str, number: int, least: int, most: int) -> None:
    if not least <= number <= most:
        raise ConfigError(f"{where}: {number} is not between {least} and {most}")


def _words(path: Path, count: int, bits: int) -> npt.NDArray[np.uint64]:
    """A word a line, as many as there are to be, each in a number of bits."""
    lines = read_file(path, MAX_FILE_BYTES, ConfigError).decode("ascii", "replace").split()
    if len(lines) != count:
        raise ConfigError(f"{path}: {len(lines)} words; {DOCUMENT} beside it makes it {count}")
    word = re.compile("[0-9a-fA-F]{1,16}")
    for number, line in enumerate(lines, 1):
        if not word.fullmatch(line) or int(line, 16) >> bits:
            raise ConfigError(f"{path}: word {number}: {line[:20]!r} is no hexadecimal number of {bits} bits")
    return np.array([int(line, 16) for line in lines], np.uint64)
