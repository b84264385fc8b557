"""The Verilog of the package: one module a file, the file's name that of the module."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy.typing as npt

from addersim.errors import ConfigError
from addersim.inputs.text import did_you_mean

__all__ = ["PRODUCTS", "defines", "module_file", "product_words", "rtl_folder", "sources_text", "verilog_files"]

PRODUCTS = "products.hex"
"""File with the table of a multiplier; the package's Verilog reads it where the macro ``PRODUCTS`` is defined."""
_BESIDE = Path(__file__).parents[2] / "ext" / "rtl"


def rtl_folder() -> Path:
    """Folder of the Verilog files: the package's data, where it was built, or ``ext/rtl`` of a checkout."""
    packaged = Path(str(files("addersim"))) / "data" / "rtl"
    return packaged if packaged.is_dir() else _BESIDE


def verilog_files() -> tuple[Path, ...]:
    """All Verilog files, in order of their names.

    Examples
    --------
    >>> [path.stem for path in verilog_files() if path.stem.startswith("pe_mac")]
    ['pe_mac', 'pe_mac_booth']
    """
    found = tuple(sorted(rtl_folder().glob("*.v")))
    if not found:
        raise ConfigError(f"{rtl_folder()}: no Verilog files; the installation is incomplete, install addersim again")
    return found


def module_file(name: str) -> Path:
    """The file of a module; an error lists the known ones."""
    known = {path.stem: path for path in verilog_files()}
    if name not in known:
        raise ConfigError(f"Verilog module {name!r} is none of {', '.join(known)}{did_you_mean(name, known)}")
    return known[name]


def sources_text(paths: Iterable[Path] | None = None) -> dict[str, str]:
    """Texts of Verilog files by file name; None takes the package's."""
    return {path.name: path.read_text(encoding="utf-8") for path in (verilog_files() if paths is None else paths)}


def product_words(products: npt.NDArray[Any]) -> str:
    """Text of `PRODUCTS`, of products by the byte of the input and that of the weight.

    Examples
    --------
    >>> import numpy as np
    >>> product_words(np.full((256, 256), -3)).split("\\n", 1)[0]
    'fffffffd'
    """
    return "".join(f"{word & 0xFFFFFFFF:08x}\n" for word in products.reshape(-1).tolist())


def defines(verilog: Mapping[str, str]) -> tuple[str, ...]:
    """Options by which a tool that reads some files defines the macro of a table, where the table is among them."""
    return ("-DPRODUCTS",) if PRODUCTS in verilog else ()
