"""Flags of the compilers that build addersim._core. setup.py asks here; nothing else does."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["LIMITED_API", "OPENMP_PROBE", "Flags", "choose_flags", "openmp_flags", "stable_abi"]

LIMITED_API = "0x030B0000"
"""Python 3.11, the first whose stable interface has buffers, which the kernels read arrays through."""

_GNU = (
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
)
# Floating point as written, as GCC and Clang keep it; an enum without its case is an error here too.
_MICROSOFT = ("/O2", "/std:c17", "/W3", "/we4062", "/fp:precise")


OPENMP_PROBE = """\
#include <omp.h>
#include <stdint.h>
#include <stdlib.h>

int main(void) {
    int64_t sum = 0, one = 0;
    char *scratch;
#pragma omp parallel for schedule(dynamic) num_threads(2)
    for (int64_t i = 0; i < 4; i++) {
#pragma omp critical(named)
        sum += i;
    }
#pragma omp parallel num_threads(2) private(scratch)
    {
        scratch = malloc(16);
#pragma omp for schedule(static)
        for (int64_t i = 0; i < 4; i++) one |= scratch != NULL && i > 8;
        free(scratch);
    }
    return omp_get_max_threads() < 1 || omp_get_thread_num() != 0 || sum != 6 || one;
}
"""
"""Every form of OpenMP that the kernels have. A compiler that has an older OpenMP, as Microsoft's may, which does not take a
loop's variable where it is declared, builds kernels of one thread, and not none."""


class Flags(NamedTuple):
    """What compiling and linking take, and the libraries."""

    compiling: tuple[str, ...]
    linking: tuple[str, ...]
    libraries: tuple[str, ...]


def openmp_flags(compiler: str, platform: str) -> tuple[str, ...]:
    """What asks for OpenMP; empty where it is not even tried.

    Apple's compiler has no OpenMP of its own, and a wheel's copy of libomp beside torch's ends the process: kernels run on one
    thread there.

    Parameters
    ----------
    compiler
        Its kind, as setuptools names it: ``unix``, ``msvc``, ``mingw32``.
    platform
        As `sys.platform` names it.
    """
    if platform == "darwin":
        return ()
    return ("/openmp",) if compiler == "msvc" else ("-fopenmp",)


def choose_flags(compiler: str, openmp: tuple[str, ...] = (), more: tuple[str, ...] = ()) -> Flags:
    """All flags. No instruction set is asked for: the binary holds those that its compiler can build and chooses when it runs.

    Parameters
    ----------
    compiler
        As in `openmp_flags`.
    openmp
        What `openmp_flags` gave, where the compiler has it.
    more
        Of ADDERSIM_FLAGS, the last word.
    """
    if compiler == "msvc":  # its linker takes no flag of the compiler, and the C library holds the mathematics
        return Flags((*_MICROSOFT, *openmp, *more), (), ())
    return Flags((*_GNU, *openmp, *more), (*openmp, *more), ("m",))


def stable_abi(implementation: str, free_threaded: bool) -> bool:
    """Whether one binary can serve Python 3.11 and all later ones: CPython's, but for builds without the global lock."""
    return implementation == "cpython" and not free_threaded
