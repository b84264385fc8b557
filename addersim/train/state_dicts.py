"""State dicts as people have them: nested in checkpoints, wrapped by DataParallel or compile, with counters of profilers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from addersim.errors import LoweringError, NetworkError
from addersim.format_quantity import first_of
from addersim.inputs.opening import source
from addersim.train.weights import find_state_dicts, read_checkpoint

__all__ = ["Fit", "load_checkpoint", "load_fitting"]

WRAPPERS = frozenset({"module", "_orig_mod"})
"""Parts of names that DataParallel and torch.compile put in, wherever they stood."""
COUNTERS = frozenset({"num_batches_tracked", "total_ops", "total_params", "n_averaged"})
"""Last parts of names that count something: no network needs them."""
SHOWN = 5
"""Faults of a kind that are told one by one."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How a state dict meets a module: the tensors it takes, by its own names, counters left out, and what is wrong."""

    tensors: Mapping[str, Tensor]
    counters: tuple[str, ...]
    faults: tuple[str, ...]
    matched: int

    @classmethod
    def of(cls, module: nn.Module, state: Mapping[str, Tensor], prefix: str = "") -> Fit:
        """Match names, whatever their order; with a prefix, only the names that begin with it, without it."""
        expected = module.state_dict()
        given = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
        find = _finder(expected)
        meeting: dict[str, list[str]] = {}
        for name in given:
            meeting.setdefault(find(name) or "", []).append(name)
        unknown = sorted(name for name in meeting.pop("", []) if not _counts(name))
        tensors = {name: given[names[0]] for name, names in meeting.items() if len(names) == 1}
        missing = sorted(name for name in expected.keys() - meeting.keys() if not _counts(name))
        twice = [f"{name} ({' and '.join(sorted(names))})" for name, names in sorted(meeting.items()) if len(names) > 1]
        faults = (
            _told("missing", missing, lambda name: _nearest(name, unknown)),
            _told("unknown", unknown, lambda name: _nearest(name, missing)),
            _told("given twice", twice),
            _told("of another shape", _other_shapes(expected, tensors)),
            _told("of another type", _other_types(expected, tensors)),
            _told("not finite", [name for name, one in sorted(tensors.items()) if not _finite(one)]),
        )
        found = [one for one in faults if one]
        if missing and not prefix and (deeper := _shared_prefix(state, expected)):
            found.append(f"its names stand under {deeper!r}: give --prefix {deeper}")
        if not meeting:
            found.append("no name fits: is it a checkpoint of another architecture?")
        counters = tuple(sorted(name for name in given if _counts(name) and find(name) is None))
        return cls(tensors, counters, tuple(found), len(meeting))


def load_fitting(module: nn.Module, fit: Fit, what: str = "weights") -> None:
    """Give a module the tensors that fit it. Raises NetworkError where they do not, and the module keeps what it has."""
    if fit.faults:
        raise NetworkError(f"{what} do not fit {type(module).__name__}: {'; '.join(fit.faults)}")
    module.load_state_dict(dict(fit.tensors), strict=False)


def load_checkpoint(module: nn.Module, path: Path, key: str | None = None, prefix: str = "") -> tuple[str, tuple[str, ...]]:
    """Load the one state dict of a file that fits a module.

    Parameters
    ----------
    module
        Takes the weights.
    path
        A .pth, .pt or .safetensors file.
    key
        Where in the file, such as ``model`` or ``ema.state_dict``; None takes what fits.
    prefix
        Of names in the file; others are left out.

    Returns
    -------
    key, counters
        Where the weights were found, and the names of counters that were left out.

    Raises
    ------
    LoweringError
        For a file without a state dict, without that key, or with several that fit.
    NetworkError
        For weights that do not fit, with what differs.
    """
    where = source(path)
    found = find_state_dicts(read_checkpoint(path), where)
    if key is not None and key not in found:
        raise LoweringError(f"{where}: has no state dict {key!r}; it has {_listed(found)}")
    fits = {name: Fit.of(module, state, prefix) for name, state in found.items() if key in (None, name)}
    sound = [name for name, fit in fits.items() if not fit.faults]
    if len(sound) > 1:
        raise LoweringError(
            f"{where}: {len(sound)} state dicts fit {type(module).__name__}, {_listed(sound)}; "
            f"choose one, such as --weights {where}::{sorted(sound)[0]}"
        )
    best = sound[0] if sound else min(fits, key=lambda name: (-fits[name].matched, name))
    load_fitting(module, fits[best], f"{where}{best and f'::{best}'}: weights")
    return best, fits[best].counters


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) if name else "its top" for name in sorted(names)[:10])


def _counts(name: str) -> bool:
    return name.rpartition(".")[2] in COUNTERS


def _finder(expected: Mapping[str, Any]) -> Callable[[str], str | None]:
    """A function that finds the module's own name for one of a file's: itself, or the same without wrappers."""
    plain: dict[str, str | None] = {}
    for name in expected:
        plain[_plain(name)] = None if _plain(name) in plain else name

    def find(name: str) -> str | None:
        if name in expected:
            return name
        stem, dot, last = _plain(name).rpartition(".")
        other = {"b": "bias", "bias": "b"}.get(last, last)  # the official adder2d calls its bias b
        return plain.get(stem + dot + last) or plain.get(stem + dot + other)

    return find


def _plain(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def _nearest(name: str, others: list[str]) -> str:
    near = get_close_matches(name, others[:1000], 1)
    return f"{name} (nearest {near[0]})" if near else name


def _told(what: str, names: list[str], tell: Callable[[str], str] = str) -> str:
    """How many there are of a fault, and the first few."""
    return f"{len(names)} {what}: {first_of([*map(tell, names)], SHOWN)}" if names else ""


def _other_shapes(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    return [
        f"{name} {tuple(tensor.shape)} instead of {tuple(expected[name].shape)}"
        for name, tensor in sorted(given.items())
        if tensor.shape != expected[name].shape
    ]


def _other_types(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    return [
        f"{name} {str(tensor.dtype).removeprefix('torch.')} instead of floats"
        for name, tensor in sorted(given.items())
        if expected[name].is_floating_point() and not tensor.is_floating_point()
    ]


def _finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())


def _shared_prefix(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str:
    """What stands before all of a module's names in a state dict, where something does; the shortest."""
    wanted = [name for name in expected if not _counts(name)]
    before = sorted(name.removesuffix(wanted[0]) for name in state if name.endswith(f".{wanted[0]}")) if wanted else []
    fitting = (prefix for prefix in sorted(before, key=len) if all(prefix + name in state for name in wanted))
    return next(fitting, "")
