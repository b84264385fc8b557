"""Reading multipliers: a table of products in any of the forms that people have them in, and what a TOML file says of it.

=================  ======================================================================================================
``.npy``           an array of 256 x 256 or 65,536 numbers
``.npz``           the same, alone in its file or under the name ``products``
``.csv``, ``.txt``  65,536 numbers with commas, semicolons or spaces between them; ``#`` begins a remark
``.toml``          `MultiplierFile`: the name of one of these beside it, and what is known of the circuit
any other          65,536 little-endian numbers of 32 bits, signed, or of 16
=================  ======================================================================================================

Rows are the input's codes and columns the weight's. Numbers of 16 bits without sign are in two's complement where operands
have signs. A table does not say which codes these are: of the three ways in `ORDERS`
the one is taken in which it is next to a multiplication, and none where it is not near to one in any.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

import msgspec
import numpy as np
import numpy.typing as npt

from addersim.arithmetic.multiplier import CODES, MultiplierPrice, MultiplierTable, exact_products, whole
from addersim.config import load_toml
from addersim.errors import ConfigError
from addersim.inputs.limits import read_number
from addersim.inputs.opening import read_file, source
from addersim.storage import load_array, load_arrays

__all__ = ["MultiplierFile", "Operands", "load_multiplier"]

Array = npt.NDArray[Any]
Operands = Literal["unsigned", "signed", "signed-bytes"]

ORDERS: Mapping[Operands, str] = MappingProxyType(
    {
        "unsigned": "rows and columns of 0..255",
        "signed": "rows and columns of -128..127",
        "signed-bytes": "rows and columns of 0..127, then -128..-1, as bytes count",
    }
)
NEAR = 0.25
"""Mean absolute error over the mean magnitude of the exact products, below which a table is a multiplier of an order."""
PRODUCTS = CODES * CODES
MOST_TEXT = 4_000_000
"""Bytes of a text: 65,536 numbers as numpy writes them, of 25 characters each, and room."""
MOST_BINARY = 4 * PRODUCTS


class MultiplierFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a TOML file says of a multiplier.

    Attributes
    ----------
    products
        File of the table, from where the TOML file is.
    operands
        A name in `ORDERS`; None finds it out.
    name, relative_energy, relative_area, energy_pj, area_um2, node_nm, source
        As in `MultiplierPrice`; the name is otherwise that of the file.
    """

    products: str
    operands: Operands | None = None
    name: str | None = None
    relative_energy: float | None = None
    relative_area: float | None = None
    energy_pj: float | None = None
    area_um2: float | None = None
    node_nm: float | None = None
    source: str = ""


def load_multiplier(path: str | os.PathLike[str], operands: Operands | None = None) -> MultiplierTable:
    """Read a multiplier's table, with its price where a TOML file states one.

    Parameters
    ----------
    path
        See `addersim.arithmetic.multiplier_files`.
    operands
        ``unsigned`` (0..255), ``signed`` (rows and columns from -128 to 127) or ``signed-bytes`` (0..127, then -128..-1);
        None takes what the TOML file says, and where it says nothing the order in which the table is next to a multiplication.

    Raises
    ------
    ConfigError
        For a file that is missing, too large or no table of 65,536 whole numbers of 32 bits; or whose order nobody can tell.
    """
    where, stem = source(path), Path(os.fspath(path)).stem
    if Path(path).suffix != ".toml":
        return _table(Path(path), operands, MultiplierPrice(name=stem))
    said = load_toml(path, MultiplierFile)
    if Path(said.products).suffix == ".toml":
        raise ConfigError(f"{where}: products: {said.products!r} is a TOML file; name the table itself")
    stated = {one: getattr(said, one) for one in MultiplierPrice.__struct_fields__ if one != "name"}
    price = MultiplierPrice(name=said.name or stem, **stated)
    return _table(Path(path).parent / said.products, operands or said.operands, price)


def _table(path: Path, operands: Operands | None, price: MultiplierPrice) -> MultiplierTable:
    where = source(path)
    if operands is not None and operands not in ORDERS:
        raise ConfigError(f"operands: found {operands!r}, needs one of {', '.join(get_args(Operands))}")
    found = _read(path, where)
    signed = found.view("<i2") if found.dtype == np.dtype("<u2") else found
    readings = {one: whole(found if one == "unsigned" else signed, where) for one in ([operands] if operands else ORDERS)}
    order = operands or _nearest(readings, where)
    products = readings[order]
    if order == "signed-bytes":
        products = np.roll(products, (CODES // 2, CODES // 2), axis=(0, 1))
    return MultiplierTable(products=products, signed=order != "unsigned", price=price)


def _nearest(readings: Mapping[Operands, Array], where: str) -> Operands:
    """The order in which a table is next to a multiplication."""
    distances = {order: _distance(order, found) for order, found in readings.items()}
    best = min(distances, key=distances.__getitem__)
    if distances[best] > NEAR:
        ways = "; ".join(f"{one}: {about}" for one, about in ORDERS.items())
        raise ConfigError(
            f"{where}: at best {100 * distances[best]:.0f} % away from the exact products, so its order cannot be told; "
            f"say operands ({ways})"
        )
    return best


def _distance(order: Operands, products: Array) -> float:
    exact = exact_products(order != "unsigned")
    if order == "signed-bytes":
        exact = np.roll(exact, (CODES // 2, CODES // 2), axis=(0, 1))
    return float(np.abs(products.astype(np.int64) - exact).mean() / np.abs(exact).mean())


def _read(path: Path, where: str) -> Array:
    """The 256 x 256 numbers of a file, of whatever type."""
    if path.suffix == ".npy":
        found = load_array(path, ConfigError)
    elif path.suffix == ".npz":
        found = _only(load_arrays(path, ConfigError), where)
    elif path.suffix in (".csv", ".txt"):
        found = _numbers(read_file(path, MOST_TEXT, ConfigError), where)
    else:
        found = _binary(read_file(path, MOST_BINARY, ConfigError), where)
    if found.size != PRODUCTS or found.shape not in ((PRODUCTS,), (CODES, CODES)):
        raise ConfigError(f"{where}: {found.size:,} numbers of shape {found.shape}; a multiplier's table has 256 x 256")
    return np.ascontiguousarray(found.reshape(CODES, CODES))


def _only(arrays: Mapping[str, Array], where: str) -> Array:
    if "products" in arrays or len(arrays) == 1:
        return arrays.get("products", next(iter(arrays.values())))
    raise ConfigError(f"{where}: holds arrays {', '.join(arrays) or 'none'}; needs one, or one called products")


def _numbers(content: bytes, where: str) -> Array:
    """Numbers of a text, in its order."""
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{where}: not UTF-8 text: byte {error.start} is 0x{content[error.start]:02x}") from None
    found: list[float] = []
    for number, line in enumerate(lines, 1):
        plain = line.partition("#")[0].strip().replace(";", ",")
        cells = plain.removesuffix(",").split(",") if "," in plain else plain.split()
        found += [read_number(text, f"{where}: line {number}") for text in cells]
        if len(found) > PRODUCTS:
            raise ConfigError(f"{where}: line {number}: more than 65,536 numbers; a multiplier's table has 256 x 256")
    return np.array(found, np.float64)


def _binary(content: bytes, where: str) -> Array:
    kinds = {4 * PRODUCTS: "<i4", 2 * PRODUCTS: "<u2"}
    if len(content) not in kinds:
        sizes = " or ".join(f"{size:,}" for size in sorted(kinds))
        raise ConfigError(f"{where}: {len(content):,} bytes; a table of 256 x 256 numbers of 16 or 32 bits has {sizes}")
    return np.frombuffer(content, kinds[len(content)])
