"""Every instruction set gives what portable C gives: under sanitizers here, and emulated those of other processors."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.sanitized.__main__ import build

ROOT = Path(__file__).parents[2]
COMPILER, EMULATORS = "aarch64-linux-gnu-gcc", ("qemu-aarch64", "qemu-aarch64-static")


# Unoptimised and without debugging symbols it compiles in a fifth of the time, and the sanitizer sees the same bytes. The slow
# one and `make sanitize` look for undefined behaviour too, which takes twice as long to compile for.
QUICK = ["-O0", "-g0", "-fno-sanitize=undefined"]


@pytest.mark.parametrize(("layers", "flags"), [("40", QUICK), pytest.param("1000", [], marks=pytest.mark.slow)])
def test_sets_agree_and_touch_no_byte_too_many(layers, flags, tmp_path):
    if not shutil.which("gcc"):
        pytest.skip("needs gcc and its sanitizers")
    build(tmp_path / "sets_agree", "gcc", *flags)
    done = subprocess.run([tmp_path / "sets_agree", layers], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].endswith("portable; 0 differences")


@pytest.mark.slow
def test_neon_agrees_with_portable_c(tmp_path):
    emulator = next(filter(None, map(shutil.which, EMULATORS)), None)
    if not (shutil.which(COMPILER) and emulator):
        pytest.skip(f"needs {COMPILER} and {' or '.join(EMULATORS)}")
    sources = [path for path in ROOT.glob("ext/*.c") if path.stem != "_core"]
    flags = ["-static", "-O2", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas"]
    program = tmp_path / "sets_agree"
    source = Path(__file__).with_name("sets_agree.c")
    subprocess.run([COMPILER, *flags, f"-I{ROOT / 'ext'}", source, *sources, "-lm", "-o", program], check=True)
    done = subprocess.run([emulator, program, "1000"], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1:] == ["1000 layers; neon portable; 0 differences"], done.stdout + done.stderr
