"""The CUDA kernels' own source, compiled as C++, run on CPU tensors: every thread, barrier and copy, in shuffled order."""

import ctypes
import subprocess
from pathlib import Path

from torch import Tensor

from addersim.train.cuda.source import kernels_source

UNASKED = ("unknown-pragmas", "unused-function", "unused-variable", "clobbered")
"""Warnings of what CUDA's pragmas, and threads that take turns, mean to a C++ compiler."""
PRIMITIVES = Path(__file__).with_name("cuda_threads.h")


class Emulator:
    """Kernels that were compiled once, by name; those that are missing when a launch asks for them are compiled then."""

    def __init__(self, folder, compiler):
        self.folder, self.compiler, self.found, self.seed = folder, compiler, {}, 0

    def prepare(self, names):
        """Compiles some kernels together, which takes less time than one by one."""
        names = sorted({*names} - {*self.found})
        if not names:
            return
        path = self.folder / f"kernels{len(self.found)}"
        entries = "\n".join(f"ENTRY({number}, {name})" for number, name in enumerate(names))
        path.with_suffix(".cpp").write_text(kernels_source(PRIMITIVES) + "\n" + entries + "\n")
        flags = ["-std=c++17", "-O1", "-shared", "-fPIC", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror"]
        quiet = [f"-Wno-{name}" for name in ("unknown-warning-option", *UNASKED)]
        command = [self.compiler, *flags, *quiet, path.with_suffix(".cpp"), "-o", path.with_suffix(".so")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        library = ctypes.CDLL(str(path.with_suffix(".so")))
        for number, name in enumerate(names):
            self.found[name] = getattr(library, f"entry{number}")
            self.found[name].restype = ctypes.c_char_p

    def run(self, launch):
        """Runs one launch."""
        self.prepare([launch.kernel])
        self.seed += 1
        tensors = [one for one in launch.arguments if isinstance(one, Tensor)]
        values = [
            ctypes.c_void_p(one.data_ptr()) if isinstance(one, Tensor) else ctypes.c_int32(one) for one in launch.arguments
        ]
        arguments = (ctypes.c_void_p * len(values))(*(ctypes.addressof(one) for one in values))
        ends = [edge for one in tensors for edge in (one.data_ptr(), one.data_ptr() + one.numel() * one.element_size())]
        ranges = (ctypes.c_size_t * len(ends))(*ends)
        fault = self.found[launch.kernel](
            *launch.grid, launch.threads, len(values), arguments, len(tensors), ranges, self.seed
        )
        assert not fault, f"{launch.kernel}: {fault.decode()}"
