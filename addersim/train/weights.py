"""Weights from files that others wrote: state dicts as torch or safetensors store them. Nothing in a file is run."""

from __future__ import annotations

import io
import json
import re
import zipfile
from argparse import Namespace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from addersim.errors import AddersimError, LoweringError
from addersim.inputs.opening import MAX_FILE_BYTES, parsing, read_file, source

__all__ = ["find_state_dicts", "read_checkpoint", "read_safetensors", "read_state_dict"]

_ADVICE = "save torch.save(module.state_dict(), FILE), or the same as safetensors"
_STEP = 8
"""Bytes at a safetensors file's start that tell the length of its JSON header."""


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a .pth, .pt or .safetensors file by name, where the file holds one state dict.

    Raises
    ------
    LoweringError
        For a file that is damaged, larger than 2 GiB, or holds no or several state dicts of plain tensors.
    """
    found = find_state_dicts(read_checkpoint(path), source(path))
    if len(found) > 1:
        raise LoweringError(f"{source(path)}: holds {len(found)} state dicts, {', '.join(map(repr, found))}; give one of them")
    return next(iter(found.values()))


def read_checkpoint(path: Path) -> Any:
    """What a .pth, .pt or .safetensors file holds: plain containers, numbers and tensors. Raises LoweringError otherwise."""
    where = source(path)
    content = read_file(path, MAX_FILE_BYTES, LoweringError)
    if path.suffix == ".safetensors" or content[_STEP : _STEP + 1] == b"{":
        return _safetensors(content, where, "not a safetensors file, truncated or altered", LoweringError)[0]
    return _unpickled(content, where)


def find_state_dicts(content: Any, where: str) -> dict[str, dict[str, Tensor]]:
    """Tensors by name of every mapping in a checkpoint that has any, under the keys that lead there, joined by dots.

    Raises
    ------
    LoweringError
        Where there is none.
    """
    if not isinstance(content, dict):
        raise LoweringError(f"{where}: holds a {type(content).__name__}; expected a state dict of tensors: {_ADVICE}")
    found: dict[str, dict[str, Tensor]] = {}
    waiting, seen = [("", content)], {id(content)}
    while waiting:
        path, mapping = waiting.pop(0)
        tensors = {name: one for name, one in mapping.items() if isinstance(name, str) and _is_plain(one)}
        if tensors:
            found[path] = tensors
        for name, value in mapping.items():
            if isinstance(name, str) and isinstance(value, dict) and id(value) not in seen:
                seen.add(id(value))
                waiting.append((f"{path}.{name}" if path else name, value))
    if not found:
        name = next(iter(content), None)
        what = "it is empty" if name is None else f"{name!r} is no plain tensor"
        raise LoweringError(f"{where}: {what}; expected a state dict of tensors: {_ADVICE}")
    return found


def _is_plain(value: Any) -> bool:
    if not (isinstance(value, Tensor) and value.layout is torch.strided and value.device.type == "cpu"):
        return False
    return not (value.is_quantized or value.is_complex())


def _unpickled(content: bytes, where: str) -> Any:
    """What torch's reader of plain tensors finds. Its own words are not passed on: they advise to run the file's code."""
    with parsing(where, f"not a state dict of plain tensors, truncated or altered; {_ADVICE}", LoweringError):
        if zipfile.is_zipfile(io.BytesIO(content)):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                if (total := sum(member.file_size for member in archive.infolist())) > MAX_FILE_BYTES:
                    raise LoweringError(f"{where}: {total:,} bytes when unpacked; at most {MAX_FILE_BYTES:,} are read")
        try:
            with torch.serialization.safe_globals([Namespace]):  # the options that training scripts save beside the weights
                return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        except Exception as error:
            named = re.search(r"GLOBAL ([\w.]+)", str(error))
            found = f"names {named[1]}, and nothing of it was run" if named else "truncated or altered"
            raise LoweringError(f"{where}: not a state dict of plain tensors: {found}; {_ADVICE}") from None


def read_safetensors(path: Path, what: str, error: type[AddersimError]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors by name, and the metadata, of a safetensors file; one that is damaged is an `error` that says `what` it is."""
    return _safetensors(read_file(path, MAX_FILE_BYTES, error), source(path), what, error)


def _safetensors(
    content: bytes, where: str, what: str, error: type[AddersimError]
) -> tuple[dict[str, Tensor], dict[str, str]]:
    with parsing(where, what, error):
        tensors = safetensors.torch.load(content)
        end = _STEP + int.from_bytes(content[:_STEP], "little")
        return tensors, json.loads(content[_STEP:end]).get("__metadata__", {})
