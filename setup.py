"""Builds addersim._core: Cython and C, every instruction set in one binary. The rest is in pyproject.toml."""

import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, find_namespace_packages, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

sys.path.insert(0, str(Path(__file__).parent / "build_support"))  # a build has not its source on the path
from compiler_flags import LIMITED_API, OPENMP_PROBE, choose_flags, openmp_flags, stable_abi
from index_page import ADDRESS, index_page, project_urls

SOURCES = [path.as_posix() for path in sorted(Path("ext").glob("*.c")) if path.stem != "_core"]
HEADERS = [path.as_posix() for path in sorted(Path("ext").glob("*.h"))]


class BuildCore(build_ext):
    """Adds OpenMP where the compiler has it (without it the kernels run on one thread), and the flags of ADDERSIM_FLAGS."""

    def build_extensions(self) -> None:
        kind = self.compiler.compiler_type
        openmp = openmp_flags(kind, sys.platform)
        flags = choose_flags(
            kind, openmp if self._compiles(openmp) else (), tuple(os.environ.get("ADDERSIM_FLAGS", "").split())
        )
        for extension in self.extensions:
            extension.extra_compile_args = list(flags.compiling)
            extension.extra_link_args = list(flags.linking)
            extension.libraries = list(flags.libraries)
        super().build_extensions()
        for extension in self.extensions:
            _stand_alone(Path(self.get_ext_fullpath(extension.name)))

    def copy_extensions_to_source(self) -> None:
        super().copy_extensions_to_source()
        for extension in self.extensions:
            _stand_alone(Path(self.get_ext_filename(extension.name)))

    def _compiles(self, flags: tuple[str, ...]) -> bool:
        """Whether a program that uses OpenMP can be built; what the compiler says of it is nobody's business."""
        if not flags:
            return False
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "probe.c").write_text(OPENMP_PROBE, encoding="utf-8")
            if self.compiler.compiler_type == "msvc":
                return self._compiles_by_setuptools(folder, flags)
            steps = (
                [*self.compiler.compiler_so, *flags, "-c", "probe.c", "-o", "probe.o"],
                [*self.compiler.linker_exe, *flags, "probe.o", "-o", "probe"],
            )
            return all(subprocess.run(step, cwd=folder, capture_output=True, check=False).returncode == 0 for step in steps)

    def _compiles_by_setuptools(self, folder: str, flags: tuple[str, ...]) -> bool:
        from setuptools.errors import CompileError, LinkError

        try:
            built = self.compiler.compile([f"{folder}/probe.c"], output_dir=folder, extra_postargs=list(flags))
            self.compiler.link_executable(built, "probe", output_dir=folder)
        except (CompileError, LinkError):
            return False
        return True


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


def _stand_alone(binary: Path) -> None:
    """Remove what an earlier build left beside a binary under another name: Python might prefer it, wheels would hold it."""
    for old in binary.parent.glob(f"{binary.name.partition('.')[0]}.*{binary.suffix}"):
        if old.name != binary.name:
            old.unlink()


stable = stable_abi(sys.implementation.name, bool(sysconfig.get_config_var("Py_GIL_DISABLED")))
core = Extension(
    "addersim._core",
    ["ext/_core.pyx", *SOURCES],
    include_dirs=["ext"],
    depends=[*HEADERS, "setup.py", "build_support/compiler_flags.py"],
    define_macros=[("Py_LIMITED_API", LIMITED_API)] if stable else [],
    py_limited_api=stable,
)
address = os.environ.get(ADDRESS, "")

setup(
    ext_modules=cythonize([core], compiler_directives={"language_level": "3"}),
    cmdclass={"build_ext": BuildCore, "build_py": BuildWithVerilog},
    packages=find_namespace_packages(include=["addersim", "addersim.*"]),
    package_data={"": ["*.csv", "*.css", "*.cu", "*.cuh", "*.js", "*.md", "*.npz", "*.pyi", "*.toml", "py.typed"]},
    # An editable install is then a folder on the path, which a folder beside a script cannot shadow by its name.
    package_dir={"": "."},
    zip_safe=False,
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if stable else {},
    long_description=index_page(Path("README.md").read_text("utf-8"), address),
    long_description_content_type="text/markdown",
    project_urls=project_urls(address),
)
