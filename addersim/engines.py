"""ENGINES: what runs window layers bit for bit, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from addersim.arithmetic.datapaths import datapath, datapaths_of
from addersim.errors import ConfigError
from addersim.inputs.text import did_you_mean
from addersim.layers import AnyIntegerLayer, Engine, IntegerWindow

__all__ = ["ENGINES", "find_engine"]


def _kernels(circuit: str) -> Engine:
    from addersim import kernels

    return kernels


def _reference(circuit: str) -> Engine:
    from addersim.kernels import reference

    return reference


def _rtl(circuit: str) -> Engine:
    from addersim.rtl.engine import rtl_engine

    return rtl_engine(circuit=circuit.replace("-", "_"))


ENGINES: Mapping[str, Callable[[str], Engine]] = MappingProxyType({"kernels": _kernels, "reference": _reference, "rtl": _rtl})
"""The compiled kernels, their slow twins in numpy, and the Verilog of the package, compiled."""


def find_engine(engine: str | Engine, layers: Iterable[AnyIntegerLayer] = ()) -> Engine:
    """An engine as it is, or that of a name, with the circuit of the first adder layer among those that it is to run.

    Examples
    --------
    >>> find_engine("kernels").__name__
    'addersim.kernels'
    """
    if not isinstance(engine, str):
        return engine
    if engine not in ENGINES:
        raise ConfigError(f"engine: {engine!r} is not one of {', '.join(ENGINES)}{did_you_mean(engine, ENGINES)}")
    windows = (one.datapath for one in layers if isinstance(one, IntegerWindow))
    adders = (name for name in windows if datapath(name).arithmetic.name == "l1")
    return ENGINES[engine](next(adders, datapaths_of("l1")[0].name))
