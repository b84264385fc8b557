"""ENGINES: what runs window layers bit for bit, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from addersim.errors import ConfigError
from addersim.inputs.text import did_you_mean
from addersim.layers import Engine

__all__ = ["ENGINES", "find_engine"]


def _kernels() -> Engine:
    from addersim import kernels

    return kernels


def _reference() -> Engine:
    from addersim.kernels import reference

    return reference


def _rtl() -> Engine:
    from addersim.rtl.engine import rtl_engine

    return rtl_engine()


ENGINES: Mapping[str, Callable[[], Engine]] = MappingProxyType({"kernels": _kernels, "reference": _reference, "rtl": _rtl})
"""The compiled kernels, their slow twins in numpy, and the Verilog of the package, compiled."""


def find_engine(engine: str | Engine) -> Engine:
    """An engine as it is, or that of a name.

    Examples
    --------
    >>> find_engine("kernels").__name__
    'addersim.kernels'
    """
    if not isinstance(engine, str):
        return engine
    if engine not in ENGINES:
        raise ConfigError(f"engine: {engine!r} is not one of {', '.join(ENGINES)}{did_you_mean(engine, ENGINES)}")
    return ENGINES[engine]()
