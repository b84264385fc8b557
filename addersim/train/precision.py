"""How many digits operands and sums keep: halves widened, and products on a GPU without TF32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

__all__ = ["whole_products", "widened"]


def widened(tensor: Tensor) -> Tensor:
    """Halves as float32; others as they are."""
    return tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor


@contextmanager
def whole_products(x: Tensor) -> Iterator[None]:
    """Products of a GPU's float32 convolutions and matrices in float32, whatever torch is set to.

    By default convolutions round their operands to TF32's eleven bits: where two large sums are subtracted, little remains.
    """
    if x.device.type != "cuda" or torch.compiler.is_compiling():  # what is compiled keeps the setting of who compiles
        yield
        return
    places: tuple[Any, ...] = torch.backends.cudnn.conv, torch.backends.cuda.matmul  # type: ignore[attr-defined]
    before = [place.fp32_precision for place in places]
    try:
        for place in places:
            place.fp32_precision = "ieee"
        yield
    finally:
        for place, precision in zip(places, before, strict=True):
            place.fp32_precision = precision
