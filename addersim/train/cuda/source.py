"""The kernels' source as one text, as a compiler takes it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

__all__ = ["kernels_source"]

PRIMITIVES = "primitives.cuh"
FILES = ("tile.cuh", "loaders.cuh", "windows.cu", "packed.cu", "depthwise.cu")


@cache
def kernels_source(primitives: Path | None = None) -> str:
    """All files in their order; `primitives` is a file that gives another machine what primitives.cuh gives a GPU."""
    here = Path(__file__).parent
    paths = (primitives or here / PRIMITIVES, *(here / name for name in FILES))
    return "\n".join(f'#line 1 "{path.name}"\n{path.read_text(encoding="utf-8")}' for path in paths)
