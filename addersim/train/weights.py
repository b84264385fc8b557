"""Weights from files that others wrote: state dicts as torch or safetensors store them. Nothing in a file is run."""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from addersim.errors import AddersimError, LoweringError
from addersim.inputs.opening import MAX_FILE_BYTES, parsing, read_file, source

__all__ = ["read_safetensors", "read_state_dict"]

_ADVICE = "save torch.save(module.state_dict(), FILE), or the same as safetensors"
_STEP = 8
"""Bytes at a safetensors file's start that tell the length of its JSON header."""


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a .pth, .pt or .safetensors file by name.

    Raises
    ------
    LoweringError
        For a file that is damaged, larger than 2 GiB, or holds anything but plain tensors by name.
    """
    where = source(path)
    content = read_file(path, MAX_FILE_BYTES, LoweringError)
    if path.suffix == ".safetensors" or content[_STEP : _STEP + 1] == b"{":
        return _safetensors(content, where, "not a safetensors file, truncated or altered", LoweringError)[0]
    found = _unpickled(content, where)
    found = found.get("state_dict", found) if isinstance(found, dict) else found
    if not isinstance(found, dict):
        raise LoweringError(f"{where}: holds a {type(found).__name__}; expected a state dict of tensors: {_ADVICE}")
    for name, value in found.items():
        plain = isinstance(value, Tensor) and value.layout is torch.strided and value.device.type == "cpu"
        if not isinstance(name, str) or not plain or value.is_quantized or value.is_complex():
            raise LoweringError(f"{where}: {name!r} is no plain tensor; expected a state dict of tensors: {_ADVICE}")
    return found


def _unpickled(content: bytes, where: str) -> Any:
    """What torch's reader of plain tensors finds. Its own words are not passed on: they advise to run the file's code."""
    with parsing(where, f"not a state dict of plain tensors, truncated or altered; {_ADVICE}", LoweringError):
        if zipfile.is_zipfile(io.BytesIO(content)):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                if (total := sum(member.file_size for member in archive.infolist())) > MAX_FILE_BYTES:
                    raise LoweringError(f"{where}: {total:,} bytes when unpacked; at most {MAX_FILE_BYTES:,} are read")
        try:
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
