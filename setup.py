"""Builds addersim._core: Cython and C, every instruction set in one binary. The rest is in pyproject.toml."""

import os
import subprocess
import tempfile
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, find_namespace_packages, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

SOURCES = [path.as_posix() for path in sorted(Path("ext").glob("*.c")) if path.stem != "_core"]
HEADERS = [path.as_posix() for path in sorted(Path("ext").glob("*.h"))]
FLAGS = [
    "-O3",
    "-g0",
    "-std=gnu11",
    "-Wall",
    "-Wextra",
    "-Werror=switch",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-strict-aliasing",
    "-fvisibility=hidden",
]
OPENMP = ["-fopenmp"]


class BuildCore(build_ext):
    """Adds OpenMP where the compiler has it (without it the kernels run on one thread), and the flags of ADDERSIM_FLAGS."""

    def build_extensions(self) -> None:
        more = [*(OPENMP if self._compiles(OPENMP) else []), *os.environ.get("ADDERSIM_FLAGS", "").split()]
        for extension in self.extensions:
            extension.extra_compile_args = [*FLAGS, *more]
            extension.extra_link_args = more
        super().build_extensions()

    def _compiles(self, flags: list[str]) -> bool:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "probe.c")
            source.write_text("#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n")
            steps = (
                [*self.compiler.compiler_so, *flags, "-c", "probe.c", "-o", "probe.o"],
                [*self.compiler.linker_exe, *flags, "probe.o", "-o", "probe"],
            )
            return all(subprocess.run(step, cwd=folder, capture_output=True, check=False).returncode == 0 for step in steps)


class BuildWithVerilog(build_py):
    """Copies ext/rtl into the package's data; an editable install reads it where it stands."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            for source, target in self._verilog():
                self.mkpath(os.path.dirname(target))
                self.copy_file(source, target)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        return [*super().get_outputs(include_bytecode), *(target for _, target in self._verilog())]

    def _verilog(self) -> list[tuple[str, str]]:
        return [
            (str(one), str(Path(self.build_lib, "addersim", "data", "rtl", one.name)))
            for one in sorted(Path("ext/rtl").glob("*.v"))
        ]


core = Extension(
    "addersim._core", ["ext/_core.pyx", *SOURCES], include_dirs=["ext"], libraries=["m"], depends=[*HEADERS, "setup.py"]
)

setup(
    ext_modules=cythonize([core], compiler_directives={"language_level": "3"}),
    cmdclass={"build_ext": BuildCore, "build_py": BuildWithVerilog},
    packages=find_namespace_packages(include=["addersim", "addersim.*"]),
    package_data={"": ["*.csv", "*.css", "*.cu", "*.cuh", "*.js", "*.md", "*.npz", "*.pyi", "*.toml", "py.typed"]},
    # An editable install is then a folder on the path, which a folder beside a script cannot shadow by its name.
    package_dir={"": "."},
    zip_safe=False,
)
