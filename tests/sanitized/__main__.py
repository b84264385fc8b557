"""The kernels under AddressSanitizer and UndefinedBehaviorSanitizer: ``python -m tests.sanitized [tests...]``.

Builds a copy of the package with both and runs the kernels' tests on it; the first byte too far, or the first overflow of a
signed number, ends the run. ``--fuzz SECONDS`` lets libFuzzer (of clang) look for a layer that does it.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "build" / "sanitized"
TESTS = (
    "tests/properties/test_kernels_twins.py",
    "tests/properties/test_kernels_memory.py",
    "tests/properties/test_requantisation.py",
    "tests/properties/test_kernels_zeros.py",
    "tests/unit/kernels/test_kernels.py",
    "tests/unit/kernels/test_powers.py",
)
SANITIZERS = ("-O1", "-g", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")
HARNESS = ROOT / "tests" / "emulated" / "sets_agree.c"


def build(program: Path, compiler: str, *flags: str) -> None:
    """Compile the comparison of all instruction sets with sanitizers."""
    sources = [path for path in sorted(ROOT.glob("ext/*.c")) if path.stem != "_core"]
    warnings = ("-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas")
    command = [compiler, *SANITIZERS, *warnings, *flags, f"-I{ROOT / 'ext'}", HARNESS, *sources, "-lm", "-o", program]
    subprocess.run(command, check=True)


def run_tests(tests: tuple[str, ...]) -> int:
    """Run tests with a sanitized copy of the package."""
    flags = {"ADDERSIM_FLAGS": " ".join(SANITIZERS)}
    command = [sys.executable, "setup.py", "-q", "build", "--build-lib", BUILT, "--build-temp", BUILT / "objects"]
    subprocess.run(command, cwd=ROOT, env=os.environ | flags, check=True)
    libraries = [
        subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout.strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    settings = {
        "PYTHONPATH": os.pathsep.join(map(str, (BUILT, ROOT))),
        "PYTHONMALLOC": "malloc",  # one allocation an array, so that each has its own borders
        "LD_PRELOAD": " ".join(libraries),
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "ADDERSIM_MOST_EXAMPLES": "10",  # of what is drawn by `limited`: each takes many times as long here
    }
    command = [sys.executable, "-P", "-m", "pytest", "-m", "not slow", "-p", "no:cacheprovider", *tests]
    return subprocess.run(command, cwd=ROOT, env=os.environ | settings, check=False).returncode


def fuzz(seconds: int) -> int:
    """Coverage-guided: the layers that libFuzzer makes up, on every instruction set, each beside portable C."""
    if not shutil.which("clang"):
        print("needs clang, which has libFuzzer (Debian: apt-get install clang)", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        program, corpus = Path(folder, "fuzz"), Path(folder, "corpus")
        corpus.mkdir()
        build(program, "clang", "-fsanitize=fuzzer", "-DFUZZER")
        command = [program, f"-max_total_time={seconds}", "-max_len=64", "-print_final_stats=1", corpus]
        return subprocess.run(command, cwd=folder, check=False).returncode


if __name__ == "__main__":
    arguments = sys.argv[1:]
    sys.exit(fuzz(int(arguments[1])) if arguments[:1] == ["--fuzz"] else run_tests(tuple(arguments) or TESTS))
