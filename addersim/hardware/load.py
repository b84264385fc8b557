"""Accelerators by bundled name or by file: our own TOML, or a configuration of SCALE-Sim."""

from __future__ import annotations

import logging
import os

from addersim.config import bundled_names, parse_toml, resolve_text
from addersim.hardware.accelerator import Accelerator
from addersim.hardware.scalesim.config import parse_scalesim

__all__ = ["accelerator_names", "load_accelerator", "parse_accelerator"]

_LOG = logging.getLogger(__name__)


def accelerator_names() -> tuple[str, ...]:
    """Names of the bundled accelerators."""
    return bundled_names("accelerators", ".toml")


def load_accelerator(name: str | os.PathLike[str]) -> Accelerator:
    """An accelerator by bundled name, from a TOML file, or from a configuration file of SCALE-Sim (.cfg).

    Raises
    ------
    ConfigError
        No such name or file, or a file that does not hold an accelerator.

    Examples
    --------
    >>> load_accelerator("systolic-16x16").array.dataflow
    'output'
    """
    _, where, text = resolve_text(name, "accelerators", ".toml", "accelerator")
    _LOG.info("accelerator: %s", where)
    return parse_accelerator(text, where)


def parse_accelerator(text: str, where: str) -> Accelerator:
    """Read TOML text, or SCALE-Sim's configuration, as an accelerator; `where` names the source in messages."""
    if where.endswith(".cfg") or "[architecture_presets]" in text:
        return parse_scalesim(text, where)
    return parse_toml(text, Accelerator, where)
