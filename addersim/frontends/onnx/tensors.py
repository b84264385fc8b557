"""Tensors of an ONNX file: sizes are bounded before memory is taken, and their bytes lie in the file or in its folder."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.errors import LoweringError
from addersim.inputs.opening import MAX_FILE_BYTES, open_file
from addersim.inputs.text import printable

__all__ = ["IMAGE_TYPES", "Array", "as_text", "code_type", "is_absent", "read_array"]

Array = npt.NDArray[Any]

IMAGE_TYPES = frozenset({"FLOAT", "FLOAT16", "DOUBLE"})
FLOAT_TYPES = frozenset({*IMAGE_TYPES, "BFLOAT16"})
CODE_TYPES: Mapping[str, tuple[int, bool]] = MappingProxyType(
    {f"{sign}{bits}": (bits, not sign.startswith("U")) for bits in (8, 4, 2) for sign in ("INT", "UINT")}
)
"""Width and sign of codes that are read, by ONNX's names of their types."""
TENSOR_TYPES = frozenset({*FLOAT_TYPES, *CODE_TYPES, "INT64", "INT32", "BOOL"})


def as_text(text: str | bytes) -> str:
    """A name as it may be printed: no control characters. Protobuf gives bytes where a name is not UTF-8."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    return printable(text)


def read_array(tensor: Any, folder: Path, where: str) -> Array:
    """A tensor as float32 or float64, int64, bool, or codes as they are; its bytes must be as many as its sizes say.

    Codes of 4 and of 2 bits, which lie packed in the file, have types of numpy of their own: `code_type`.
    """
    import onnx

    types = onnx.TensorProto.DataType
    kind = types.Name(tensor.data_type) if tensor.data_type in types.values() else str(tensor.data_type)
    if kind not in TENSOR_TYPES:
        raise LoweringError(f"{where}: is of type {kind}; known: {', '.join(sorted(TENSOR_TYPES))}")
    sizes = tuple(int(one) for one in tensor.dims)
    stored = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type))
    if min(sizes, default=0) < 0 or math.prod(sizes) * stored.itemsize > MAX_FILE_BYTES:
        raise LoweringError(f"{where}: sizes {sizes}; at most {MAX_FILE_BYTES:,} bytes are read")
    outside = tensor.data_location == onnx.TensorProto.EXTERNAL
    if is_absent(tensor, folder):
        return np.broadcast_to(np.float32(0), sizes)
    bits = CODE_TYPES[kind][0] if kind in CODE_TYPES else 8 * stored.itemsize
    content = _external(tensor, folder, -(-math.prod(sizes) * bits // 8), where) if outside else b""
    try:
        if outside and bits < 8:
            tensor, outside = onnx.TensorProto(dims=sizes, data_type=tensor.data_type, raw_data=content), False
        found: Array = np.frombuffer(content, stored.newbyteorder("<")) if outside else onnx.numpy_helper.to_array(tensor)
        found = found.reshape(sizes)
    except (ValueError, TypeError):
        raise LoweringError(f"{where}: holds another number of values than its sizes {sizes} say") from None
    if kind in CODE_TYPES:
        return found
    if kind in ("FLOAT16", "BFLOAT16"):
        return found.astype(np.float32)
    return found.astype({"i": np.int64, "b": np.bool_}.get(found.dtype.kind, found.dtype.newbyteorder("=")), copy=False)


def code_type(dtype: np.dtype[Any]) -> tuple[int, bool] | None:
    """Width and sign of codes by their type in numpy; None of a type that holds none."""
    return CODE_TYPES.get(dtype.name.upper())


def is_absent(tensor: Any, folder: Path) -> bool:
    """Whether weights lie in a file of the model's folder that is not there, as in workloads that carry shapes only."""
    import onnx

    types = onnx.TensorProto.DataType
    if tensor.data_location != onnx.TensorProto.EXTERNAL or types.Name(tensor.data_type) not in FLOAT_TYPES:
        return False
    path = _external_path(tensor, folder)
    return path is not None and not path.exists()


def _external_path(tensor: Any, folder: Path) -> Path | None:
    """Where the bytes of a tensor lie, or None outside the model's folder."""
    location = next((as_text(one.value) for one in tensor.external_data if one.key == "location"), "")
    path = (folder / location).resolve()
    return path if location and path.is_relative_to(folder) else None


def _external(tensor: Any, folder: Path, size: int, where: str) -> bytes:
    """Bytes of a tensor that lie in a file of their own, which must be in the model's folder or below it."""
    entries = {as_text(one.key): as_text(one.value) for one in tensor.external_data}
    location = entries.get("location", "")
    path = _external_path(tensor, folder)
    if path is None:
        raise LoweringError(f"{where}: external data {location!r} lie outside the model's folder, and are not read")
    if not path.exists():
        raise LoweringError(f"{where}: external data {location!r}: no such file in the model's folder")
    start, length = (entries.get(key, default) for key, default in (("offset", "0"), ("length", str(size))))
    if not (start.isascii() and start.isdigit() and len(start) < 16) or length != str(size):
        raise LoweringError(f"{where}: external data {location!r} at {start[:20]}, {length[:20]} bytes; its sizes say {size}")
    with open_file(path, None, LoweringError) as file:
        file.seek(int(start))
        content = file.read(size)
    if len(content) != size:
        raise LoweringError(f"{where}: external data {location!r} end after {len(content)} of {size} bytes")
    return content
