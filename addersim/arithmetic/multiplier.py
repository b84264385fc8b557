"""A multiplier as a table of 256 x 256 products, such as an approximate circuit's, and how far it is from multiplication."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from addersim.arithmetic.fixed import FixedFormat
from addersim.errors import ConfigError

__all__ = ["CODES", "MultiplierErrors", "MultiplierPrice", "MultiplierTable", "exact_products", "whole"]

Array = npt.NDArray[Any]

CODES = 256
"""Rows and columns: a multiplier of two bytes."""
LARGEST = (1 << 31) - 1
"""Magnitude of a product: 32 bits hold it with either sign."""


class MultiplierPrice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What its maker states of a multiplier's circuit; None is not known, and never taken to be an exact multiplier's.

    Attributes
    ----------
    name
        Of the multiplier.
    relative_energy, relative_area
        Energy of a multiplication and area, as fractions of the exact multiplier's of 8 bits in the same energy table.
    energy_pj, area_um2, node_nm
        The same in figures of a technology, in place of the fractions.
    source
        Where the figures are from.
    """

    name: str
    relative_energy: float | None = None
    relative_area: float | None = None
    energy_pj: float | None = None
    area_um2: float | None = None
    node_nm: float | None = None
    source: str = ""

    def __post_init__(self) -> None:
        where = f"multiplier {self.name}"
        for field in ("relative_energy", "relative_area", "energy_pj", "area_um2", "node_nm"):
            value = getattr(self, field)
            if value is not None and not 0 <= value < np.inf:
                raise ConfigError(f"{where}: {field}: found {value!r}, needs a number of 0 or more")
        for fraction, figure in (("relative_energy", "energy_pj"), ("relative_area", "area_um2")):
            if getattr(self, fraction) is not None and getattr(self, figure) is not None:
                raise ConfigError(f"{where}: both {fraction} and {figure} are given; give one of them")
        if not self.node_nm and (self.energy_pj is not None or self.area_um2 is not None):
            raise ConfigError(f"{where}: energy_pj and area_um2 need node_nm, the technology that they are of")


@dataclass(frozen=True, slots=True)
class MultiplierErrors:
    """How far a multiplier is from multiplication, over all 65,536 pairs of operands, each as likely.

    Names are EvoApproxLib's (V. Mrazek et al., "EvoApprox8b", DATE 2017), e the product minus the exact one.

    Attributes
    ----------
    mean_error
        Mean of e: the bias, which adds up over the taps of a sum.
    mean_absolute_error
        MAE, mean of \\|e\\|.
    worst_case_error
        WCE, largest \\|e\\|.
    mean_relative_error
        MRE, mean of \\|e\\| / \\|exact\\| over the pairs whose exact product is not zero, as in the library's own
        figures, whose multiplier that gives zero for all has 100 %.
    error_probability
        EP, share of pairs with an error.
    mean_squared_error
        MSE, mean of e squared.
    """

    mean_error: float
    mean_absolute_error: float
    worst_case_error: int
    mean_relative_error: float
    error_probability: float
    mean_squared_error: float


class MultiplierTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, eq=False):
    """A multiplier of two bytes as the table of its products.

    Attributes
    ----------
    products
        int32 ``(256, 256)``: a row for each code of the input and a column for each of the weight, from the smallest up.
    signed
        Whether operands are -128..127 in two's complement; otherwise 0..255. Where an unsigned multiplier meets signed codes
        it takes their magnitudes, and the product has the exclusive or of their signs, of which zero's is positive.
    price
        Its name, and what is known of its circuit.

    Examples
    --------
    >>> exact = MultiplierTable.of(np.outer(np.arange(256), np.arange(256)), signed=False, name="exact")
    >>> exact.by_bytes(FixedFormat(8), FixedFormat(8))[-3 & 255, 5]
    np.int32(-15)
    >>> exact.errors().worst_case_error
    0
    """

    products: np.ndarray
    signed: bool
    price: MultiplierPrice

    def __post_init__(self) -> None:
        if self.products.shape != (CODES, CODES) or self.products.dtype != np.int32:
            found = f"{self.products.dtype} {self.products.shape}"
            raise ConfigError(f"multiplier {self.name}: products are {found}; a table of two bytes is int32 (256, 256)")

    @classmethod
    def of(cls, products: npt.ArrayLike, *, signed: bool, name: str = "table", **price: Any) -> MultiplierTable:
        """From whole numbers of 32 bits, ``(256, 256)`` from the smallest codes up; `price` as `MultiplierPrice`."""
        found = np.asarray(products)
        if found.shape != (CODES, CODES):
            raise ConfigError(f"multiplier {name}: products of shape {found.shape}; a table of two bytes has (256, 256)")
        return cls(products=whole(found, f"multiplier {name}"), signed=signed, price=MultiplierPrice(name=name, **price))

    @property
    def name(self) -> str:
        """Name of the multiplier."""
        return self.price.name

    @property
    def codes(self) -> tuple[int, int]:
        """Smallest and largest operand."""
        return (-CODES // 2, CODES // 2 - 1) if self.signed else (0, CODES - 1)

    def errors(self) -> MultiplierErrors:
        """How far it is from multiplication."""
        exact = exact_products(self.signed)
        error = self.products.astype(np.int64) - exact
        size, apart = np.abs(error), exact != 0
        return MultiplierErrors(
            mean_error=float(error.mean()),
            mean_absolute_error=float(size.mean()),
            worst_case_error=int(size.max()),
            mean_relative_error=float((size[apart] / np.abs(exact[apart])).mean()),
            error_probability=float((error != 0).mean()),
            mean_squared_error=float((size.astype(np.float64) ** 2).mean()),
        )

    def refuses(self, form: FixedFormat) -> str | None:
        """Why operands of a format cannot enter it; None where they can."""
        low, high = (form.minimum, form.maximum) if self.signed else _magnitudes(form)
        if self.codes[0] <= low and high <= self.codes[1]:
            return None
        bits = 8 if form.signed or not self.signed else 7
        return f"codes {form.minimum}..{form.maximum}; multiplier {self.name} takes {self._takes()}: give {bits} bits or fewer"

    def _takes(self) -> str:
        return f"{self.codes[0]}..{self.codes[1]}" + ("" if self.signed else " and applies signs outside")

    def by_bytes(self, x: FixedFormat, w: FixedFormat) -> Array:
        """Products by the low bytes of codes of two formats that it takes; of bytes that are no code, zero."""
        (x_bytes, x_codes), (w_bytes, w_codes) = _codes(x), _codes(w)
        found = np.zeros((CODES, CODES), np.int32)
        least = self.codes[0]
        if self.signed:
            terms = self.products[np.ix_(x_codes - least, w_codes - least)]
        else:
            negative = (x_codes < 0)[:, None] != (w_codes < 0)
            terms = self.products[np.ix_(np.abs(x_codes), np.abs(w_codes))]
            terms = np.where(negative, -terms, terms)
        found[np.ix_(x_bytes, w_bytes)] = terms
        return found

    def by_operands(self, x: FixedFormat, w: FixedFormat) -> Array:
        """What its circuit holds: products by the bytes of codes of two formats, or, of unsigned operands, by magnitudes."""
        return self.by_bytes(x, w) if self.signed else self.products

    def ends(self, x: FixedFormat, w: FixedFormat) -> tuple[int, int]:
        """Smallest and largest product of codes of two formats, zero included."""
        found = self.by_bytes(x, w)
        return min(0, int(found.min())), max(0, int(found.max()))


def exact_products(signed: bool) -> Array:
    """What a table of an exact multiplier holds."""
    codes = np.arange(CODES) - (CODES // 2 if signed else 0)
    found: Array = np.outer(codes, codes)
    return found


def whole(found: Array, where: str) -> Array:
    """Numbers as int32, or an error that names the first that is none: a gap, a fraction, or one of more than 32 bits."""
    if found.dtype.kind not in "iuf":
        raise ConfigError(f"{where}: {found.dtype} is no type of numbers; a table holds whole numbers")
    with np.errstate(invalid="ignore"):
        sound = (found == np.rint(found)) & (found >= -LARGEST) & (found <= LARGEST)
    if not sound.all():
        place = int(np.argmin(sound.reshape(-1)))
        row, column = divmod(place, CODES)
        value = found.reshape(-1)[place]
        raise ConfigError(f"{where}: row {row}, column {column}: found {value}, needs a whole number that 32 bits hold")
    kept: Array = found.astype(np.int32)
    kept.setflags(write=False)
    return kept


def _magnitudes(form: FixedFormat) -> tuple[int, int]:
    return 0, max(-form.minimum, form.maximum)


def _codes(form: FixedFormat) -> tuple[Array, Array]:
    """Bytes of the codes of a format, and the codes."""
    codes = np.arange(form.minimum, form.maximum + 1)
    return codes & (CODES - 1), codes
