"""Model zoo: networks, programs and topologies by bundled name, by file, or by architecture where torch is installed."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from addersim.config import bundled_names, find_file
from addersim.errors import NetworkError, check_name
from addersim.frontends.scalesim.topology import Topology, load_topology
from addersim.inputs.limits import shown
from addersim.inputs.opening import STANDARD, begins, source
from addersim.network import Network
from addersim.program import Program
from addersim.storage import load_record

if TYPE_CHECKING:
    from addersim.train.models import Architecture

__all__ = [
    "architectures",
    "bundled_networks",
    "file_kind",
    "foreign",
    "is_architecture",
    "load",
    "load_network",
    "load_network_or_program",
]

_LOG = logging.getLogger(__name__)


def bundled_networks() -> tuple[str, ...]:
    """Names of the trained networks that come with the package."""
    return bundled_names("networks", ".npz")


def architectures() -> Mapping[str, Architecture]:
    """Architectures that torch can build, by name; empty where torch is not installed."""
    if find_spec("torch") is None:
        return {}
    from addersim.train.models import ARCHITECTURES

    return ARCHITECTURES


def is_architecture(name: str | os.PathLike[str]) -> bool:
    """Whether `load` takes a name for an architecture, with random weights: no trained network or file is called so."""
    text = os.fspath(name)
    return text not in bundled_networks() and not os.path.lexists(text) and text in architectures()  # the last imports torch


def load(name: str | os.PathLike[str], *, countable: bool = False) -> Network | Program | Topology:
    """Whatever a name or a file holds that can be counted.

    Parameters
    ----------
    name
        A bundled network; the path of a file that `Network.save` or `Program.save` wrote, of an ONNX or TFLite file, or of
        SCALE-Sim's topology (.csv); ``-`` for any of them on standard input; or, where torch is installed, an architecture
        such as ``resnet20-adder``, which comes with random weights: good for counting, not for accuracy.
    countable
        Whether it is only counted: an ONNX or TFLite file may then hold what has no layer, and an ONNX file is not run beside
        its network.

    Raises
    ------
    NetworkError
        For anything else, with what was found and what is allowed.
    AddersimError
        For a file of these kinds that is damaged, or that says what this package does not have.

    Examples
    --------
    >>> load("lenet5-adder").input_shape
    (1, 28, 28)
    """
    check_name(name, "network")
    if is_architecture(name):
        _LOG.info("network: architecture %s, random weights", name)
        return _untrained(os.fspath(name))
    try:
        return _from_file(name, countable)
    except NetworkError:
        if advice := foreign(name):
            raise NetworkError(f"{source(name)}: {advice}") from None
        raise


def _from_file(name: str | os.PathLike[str], countable: bool) -> Network | Program | Topology:
    more = (
        "; architectures: addersim list architectures"
        if find_spec("torch")
        else "; architectures such as resnet20-adder need torch"
    )
    path = Path(name)
    if path.suffix.lower() not in _READERS:  # a file for sure, whose reader says what is amiss with it
        path, _ = find_file(name, "networks", ".npz", "network", NetworkError, more, architectures)
    kind = file_kind(path)
    _LOG.info("network: %s, read as %s", path, kind)
    return _COUNTABLE[kind](path, True) if countable and kind in _COUNTABLE else _READERS[kind](path)


def load_network(name: str | os.PathLike[str]) -> Network:
    """A network by name or file, as `load` finds it.

    Raises
    ------
    NetworkError
        As `load`; and for a program or a topology.
    """
    found = load(name)
    if isinstance(found, Network):
        return found
    held = "a quantised program" if isinstance(found, Program) else "a SCALE-Sim topology, which has no weights"
    raise NetworkError(f"{source(name)}: holds {held}; expected a network in float")


def load_network_or_program(name: str | os.PathLike[str]) -> Network | Program:
    """As `load_network`, and also a file that `Program.save` wrote."""
    found = load(name)
    if isinstance(found, Topology):
        takers = "count, estimate, compare, report and designs take it"
        raise NetworkError(f"{source(name)}: holds a SCALE-Sim topology, which has no weights; {takers}")
    return found


def file_kind(path: Path) -> str:
    """Suffix of the kind of a file: its own, or that of what begins as the file does."""
    suffix = path.suffix.lower()
    if suffix in _READERS:
        return suffix
    head = begins(path, NetworkError, 8)
    if head.startswith(b"PK"):
        return ".npz"
    if head[4:] == b"TFL3":
        return ".tflite"
    if os.fspath(path) != STANDARD:
        allowed = ".npz (a saved network or program), .onnx, .tflite, or .csv (a SCALE-Sim topology)"
        raise NetworkError(f"{source(path)}: found {f'a file {shown(suffix)}' if suffix else 'a file'}; allowed are {allowed}")
    return ".csv" if head[:4].decode("latin-1").strip("\n\r\t\xef\xbb\xbf").isprintable() else ".onnx"


def foreign(name: str | os.PathLike[str]) -> str | None:
    """What a file or a name is that is known, but not read, and what to do with it; None for any other.

    Examples
    --------
    >>> foreign("net.py:Net")
    'is code of your own: addersim lower net.py:Net --input-shape CHANNELS,HEIGHT,WIDTH --output FILE.npz makes it a file'
    """
    text = os.fspath(name)
    if ".py:" in text and not os.path.lexists(text):
        return (
            f"is code of your own: addersim lower {text} --input-shape CHANNELS,HEIGHT,WIDTH --output FILE.npz makes it a file"
        )
    what = _FOREIGN.get(Path(text).suffix.lower()) if os.path.isfile(text) else None
    return what and what.format(text)


def _lowered(path: Path, countable: bool = False) -> Network | Program:
    from addersim.frontends.onnx import lower_onnx

    return lower_onnx(path, countable=countable, check=not countable)


def _read(path: Path, countable: bool = False) -> Program:
    from addersim.frontends.tflite import lower_tflite

    return lower_tflite(path, countable=countable)


def _saved(path: Path) -> Network | Program:
    return cast("Network | Program", load_record(path, Network, Program))


_READERS: Mapping[str, Callable[[Path], Network | Program | Topology]] = MappingProxyType(
    {".npz": _saved, ".onnx": _lowered, ".tflite": _read, ".csv": load_topology}
)
"""What reads a file, by its suffix."""
_FOREIGN: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(
            (".pt", ".pth", ".ckpt", ".safetensors"),
            "holds weights of PyTorch, and no layers: addersim lower FILE.py:CALLABLE --weights {} --input-shape "
            "CHANNELS,HEIGHT,WIDTH --output FILE.npz, with an architecture's name where it is one",
        ),
        ".pt2": "is an exported program of PyTorch: addersim lower FILE.py:CALLABLE, of a function that returns "
        "torch.export.load({!r})",
        **dict.fromkeys(
            (".h5", ".keras", ".pb", ".mlmodel", ".mlpackage", ".caffemodel", ".pdmodel", ".engine", ".gguf"),
            "is of another tool, and not read; write it as ONNX or TFLite there, which are",
        ),
    }
)
"""What is said of files that are known, but not read, by their suffix."""
_COUNTABLE: Mapping[str, Callable[[Path, bool], Network | Program]] = MappingProxyType({".onnx": _lowered, ".tflite": _read})
"""What reads a file whose networks may hold what has no layer, to count around it."""


def _untrained(name: str) -> Network:
    from addersim.frontends.torch.lower import lower
    from addersim.train.models import ARCHITECTURES, build

    metadata = {"origin": "untrained architecture, random weights of seed 0"}
    return lower(build(name, seed=0), ARCHITECTURES[name].input_shape, name=name, metadata=metadata, check=False)
