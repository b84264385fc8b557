"""Golden vectors as files: what simulators and tools of FPGAs and of C read, and a test bench that checks itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from addersim.arithmetic.fixed import bits_for
from addersim.golden.testbench import testbench_text
from addersim.golden.vectors import LayerVectors
from addersim.rtl.sources import PRODUCTS, product_words
from addersim.storage import make_folder, write_atomically

__all__ = ["WORD_FILES", "write_vectors"]

Words = npt.NDArray[np.int64]


def _hexadecimal(words: Words, bits: int) -> list[str]:
    digits, mask = -(-bits // 4), (1 << bits) - 1
    return [f"{int(word) & mask:0{digits}x}" for word in words.reshape(-1)]


def _hex(words: Words, bits: int) -> str:
    """For ``$readmemh``: a word a line."""
    return "\n".join(_hexadecimal(words, bits)) + "\n"


def _mif(words: Words, bits: int) -> str:
    """A memory initialisation file, as Quartus reads it."""
    lines = "".join(f"  {place} : {word};\n" for place, word in enumerate(_hexadecimal(words, bits)))
    head = f"DEPTH = {words.size};\nWIDTH = {bits};\nADDRESS_RADIX = UNS;\nDATA_RADIX = HEX;\n"
    return f"{head}CONTENT\nBEGIN\n{lines}END;\n"


def _coe(words: Words, bits: int) -> str:
    """Coefficients, as Vivado reads them."""
    listed = ",\n".join(_hexadecimal(words, bits))
    return f"memory_initialization_radix=16;\nmemory_initialization_vector=\n{listed};\n"


WORD_FILES: Mapping[str, Callable[[Words, int], str]] = MappingProxyType({".hex": _hex, ".mif": _mif, ".coe": _coe})
"""What makes the text of a file of words, by the end of its name."""


def write_vectors(vectors: LayerVectors, folder: Path) -> list[Path]:
    """Write all files of a layer's words into a folder; their paths."""
    make_folder(folder)
    texts = {
        f"{name}{end}": write(words, bits)
        for name, (words, bits) in _memories(vectors).items()
        for end, write in WORD_FILES.items()
    }
    texts["vectors.h"] = _header(vectors)
    texts["layer.json"] = msgspec.json.format(msgspec.json.encode(_document(vectors)), indent=2).decode() + "\n"
    texts["testbench.v"] = testbench_text(vectors)
    if vectors.products is not None:
        texts[PRODUCTS] = product_words(vectors.products)
    for name, text in texts.items():
        with write_atomically(folder / name, "w") as file:
            file.write(text)
    return [folder / name for name in texts]


def _memories(vectors: LayerVectors) -> dict[str, tuple[Words, int]]:
    """Words and their bits by the name of a file."""
    element = vectors.element
    found = {
        "inputs": (vectors.inputs, element.input_bits),
        "weights": (vectors.weights, element.weight_bits),
        "sums": (vectors.sums, element.accumulator_bits),
    }
    if vectors.codes is not None:
        found["outputs"] = (vectors.codes, _code_bits(vectors))
    return found


def _code_bits(vectors: LayerVectors) -> int:
    ends = vectors.facts["output"]
    return bits_for(ends["low"], ends["high"], signed=ends["low"] < 0)


def _document(vectors: LayerVectors) -> dict[str, Any]:
    bits = {name: {"bits": bits, "words": words.size} for name, (words, bits) in _memories(vectors).items()}
    return vectors.facts | {"element": asdict(vectors.element), "shape": asdict(vectors.shape), "memories": bits}


def _header(vectors: LayerVectors) -> str:
    """Arrays of C: words as they are stored, sums and outputs as numbers."""
    lines = [f"/* Layer {vectors.layer} of {vectors.network}: {vectors.facts['datapath']}. */", "#include <stdint.h>", ""]
    lines += [f"#define {name.upper()} {value}" for name, value in asdict(vectors.shape).items()]
    for name, (words, _) in _memories(vectors).items():
        kind = "int64_t" if name == "sums" else "int32_t"
        listed = ", ".join(map(str, words.reshape(-1).tolist()))
        lines.append(f"static const {kind} {name}[{words.size}] = {{{listed}}};")
    return "\n".join(lines) + "\n"
