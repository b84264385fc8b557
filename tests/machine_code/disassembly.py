"""What a kernel's machine code is made of: instructions of its main loop, registers, spills, warps of a multiprocessor."""

import re
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ARCHITECTURES", "FLOATING", "Code", "main_loop", "read", "tool"]

ARCHITECTURES = {80: (64, 164), 90: (64, 228), 100: (64, 228), 120: (48, 100)}
"""Warps, and KiB of shared memory, of one multiprocessor (CUDA C++ Programming Guide, compute capabilities)."""

FLOATING = {
    *("FADD", "FADD2", "FFMA", "FFMA2", "FHADD", "FMUL", "FMUL2", "FMNMX", "FSETP", "FSEL"),
    *("HADD2", "HFMA2", "HMUL2", "HMNMX2"),
}
"""Instructions that compute with floating-point operands: comparisons and choices belong to the terms of the gradients."""
SPILLS = {"LDL", "STL"}


@dataclass(frozen=True)
class Code:
    """Of one kernel: its main loop's instructions by name, and what a block takes of a multiprocessor."""

    loop: Counter
    registers: int
    stack: int
    shared: int
    spills: int
    threads: int
    architecture: int

    @property
    def floating(self):
        return sum(count for name, count in self.loop.items() if name in FLOATING)

    @property
    def share(self):
        """Of the main loop's instructions those that compute with floating-point operands."""
        return self.floating / sum(self.loop.values())

    @property
    def warps(self):
        """Warps that a multiprocessor holds: registers come by 256 a warp, and a block takes 1 KiB of shared memory more."""
        most, shared = ARCHITECTURES[self.architecture]
        each = self.threads // 32
        by_registers = 65536 // (-(-self.registers * 32 // 256) * 256) // each
        return each * min(by_registers, most // each, 32, shared * 1024 // (self.shared + 1024))

    @property
    def occupancy(self):
        return self.warps / ARCHITECTURES[self.architecture][0]


def tool(name):
    """A tool of the CUDA toolkit: on the path, or as Triton ships it; None where there is none."""
    try:
        import triton
    except ImportError:
        return shutil.which(name)
    shipped = Path(triton.__path__[0], "backends", "nvidia", "bin", name)
    return shutil.which(name) or (str(shipped) if shipped.exists() else None)


def read(cubin, threads, architecture):
    """The machine code in a file that holds one kernel."""
    listing, resources = (
        subprocess.run([tool(name), option, cubin], capture_output=True, text=True, check=True).stdout
        for name, option in (("nvdisasm", "-c"), ("cuobjdump", "-res-usage"))
    )
    found = {name: int(number) for name, number in re.findall(r"(REG|STACK|SHARED):(\d+)", resources)}
    spills = sum(Counter(_names(listing.splitlines()))[name] for name in SPILLS)
    return Code(main_loop(listing), found["REG"], found["STACK"], found["SHARED"], spills, threads, architecture)


def main_loop(listing):
    """Instructions of the innermost loop with the most floating-point work: no other loop that counts lies within it."""
    lines = listing.splitlines()
    labels = {match.group(1): number for number, line in enumerate(lines) if (match := re.match(r"\s*(\.L\w+):", line))}
    loops = []
    for end, line in enumerate(lines):
        match = re.search(r"\bBRA\b.*?`\((\.L\w+)\)", line)
        if match and labels.get(match.group(1), end) < end:
            loops.append((labels[match.group(1)], end))
    inner = [one for one in loops if not any(other != one and one[0] <= other[0] and other[1] <= one[1] for other in loops)]
    counted = [Counter(_names(lines[begin : end + 1])) for begin, end in inner]
    return max(counted, key=lambda names: sum(names[name] for name in FLOATING), default=Counter())


def _names(lines):
    """Names of the instructions in some lines, without predicates and modifiers."""
    for line in lines:
        if match := re.match(r"\s*/\*[0-9a-f]{4,}\*/\s*(?:@!?U?P\w+\s+)?([A-Z]\w*)", line):
            yield match.group(1)
