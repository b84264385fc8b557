"""addersim: bit-exact fixed-point simulation and cost estimation for AdderNets and their multiplying rivals.

    torch net --lower--> Network --quantize--> Program --simulate / count--> Trace --estimate--> Cost --report--> html, csv

Importing this package loads nothing heavy; each public name loads its module when it is first used.
"""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any


def _listed() -> dict[str, tuple[str, str]]:
    """Module, and name there, of each public name of the stub beside this file; ``_`` marks a name that is another there."""
    stub = Path(__file__).with_suffix(".pyi").read_text("utf-8")
    return {name: (module, there) for module, there, name in re.findall(r"^from (\S+) import (\w+) as _?(\w+)$", stub, re.M)}


_PLACES = _listed()
__all__ = sorted([*_PLACES, "__version__"])  # noqa: PLE0605  # a list, in the stub


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = _version()
    elif name in _PLACES:
        module, there = _PLACES[name]
        value = import_module(f"{module}.{there}") if module == __name__ else getattr(import_module(module), there)
    else:
        raise AttributeError(f"module 'addersim' has no attribute {name!r}", name=name, obj=sys.modules[__name__])
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("addersim")
    except PackageNotFoundError:  # a source tree on the path that was never installed
        return "0+unknown"
