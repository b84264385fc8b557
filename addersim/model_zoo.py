"""Library: networks by bundled name, by file, or by architecture where torch is installed."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import cast

from addersim.config import bundled_names
from addersim.errors import NetworkError
from addersim.inputs.opening import STANDARD, begins
from addersim.network import Network
from addersim.program import Program
from addersim.storage import load_record

__all__ = ["architectures", "bundled_networks", "load_network", "load_network_or_program"]

_FOLDER = Path(__file__).parent / "data" / "networks"


def bundled_networks() -> tuple[str, ...]:
    """Names of the trained networks that come with the package."""
    return bundled_names("networks", ".npz")


def architectures() -> tuple[str, ...]:
    """Names of the architectures that torch can build; empty where torch is not installed."""
    if find_spec("torch") is None:
        return ()
    from addersim.train.models import ARCHITECTURES

    return tuple(ARCHITECTURES)


def load_network(name: str | Path) -> Network:
    """A network by name or file.

    Parameters
    ----------
    name
        A bundled name; the path of a file that `Network.save` wrote, or of an ONNX file; or, where torch is installed, an
        architecture such as ``resnet20-adder``, which comes with random weights: good for counting, not for accuracy.

    Raises
    ------
    NetworkError
        For anything else, with the names that are known.
    """
    found = load_network_or_program(name)
    if isinstance(found, Program):
        raise NetworkError(f"{name}: holds a quantised program; expected a network in float")
    return found


def load_network_or_program(name: str | Path) -> Network | Program:
    """As `load_network`, and also a file that `Program.save` wrote."""
    text = str(name)
    if text in bundled_networks():
        return Network.load(_FOLDER / f"{text}.npz")
    path, standard = Path(name), text == STANDARD
    if path.suffix.lower() == ".onnx" or (standard and begins(path, NetworkError)[:2] != b"PK"):
        from addersim.frontends.onnx import lower_onnx

        return lower_onnx(path)
    if path.suffix == ".npz" or standard or os.path.lexists(path):
        return cast("Network | Program", load_record(path, Network, Program))
    makers = architectures()
    if text in makers:
        return _untrained(text)
    known = ", ".join(bundled_networks())
    more = f"; architectures: {', '.join(makers)}" if makers else "; architectures such as resnet20-adder need torch"
    raise NetworkError(f"network {text!r}: neither a bundled name ({known}) nor a file{more}")


def _untrained(name: str) -> Network:
    from addersim.frontends.torch.lower import lower
    from addersim.train.models import ARCHITECTURES, build

    about = {"origin": "untrained architecture, random weights of seed 0"}
    return lower(build(name, seed=0), ARCHITECTURES[name].input_shape, name=name, about=about)
