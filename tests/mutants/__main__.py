"""``python -m tests.mutants [pattern]``: break the package in one line at a time: do the tests of its module notice?

Works on copies in a temporary folder, two at a time; the tree that it stands in is never changed. A pattern keeps the mutants
whose name (file: old -> new) holds it. Ends with status 1 where one survived or does not apply.
"""

import importlib.util
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutants.listed import MUTANTS, ROOT, Mutant

WORKERS = 2
LIMIT_S = 180
"""Chosen: far beyond any of the test sets; a mutant that hangs is noticed."""
COPIED = ("addersim", "ext", "tests", "pyproject.toml")


def main(pattern: str) -> int:
    """Run the mutants whose names hold a pattern; the number of lines that call for work is the status, at most 1."""
    chosen = [mutant for mutant in MUTANTS if pattern in mutant.name]
    started, outcomes = time.monotonic(), dict.fromkeys(("killed", "survived", "not applicable", "tests fail without it"), 0)
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copies: queue.Queue[Path] = queue.Queue()
        for number in range(WORKERS):
            copies.put(_copy(Path(folder, str(number))))
        with ThreadPoolExecutor(WORKERS) as pool:
            sets = dict.fromkeys(mutant.tests for mutant in chosen)
            sound = dict(zip(sets, pool.map(lambda tests: _with_copy(copies, _passes, tests), sets), strict=True))

            def outcome(mutant: Mutant) -> str:
                return _with_copy(copies, _try, mutant) if sound[mutant.tests] else "tests fail without it"

            for mutant, found in zip(chosen, pool.map(outcome, chosen), strict=True):
                outcomes[found] += 1
                if found != "killed":
                    print(f"{found}: {mutant.name}  [{' '.join(mutant.tests)}]", flush=True)
    shown = ", ".join(f"{number} {what}" for what, number in outcomes.items())
    print(f"{len(chosen)} mutants: {shown}; {time.monotonic() - started:.0f} s")
    return int(outcomes["killed"] < len(chosen) or not chosen)


def _copy(folder: Path) -> Path:
    folder.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".hypothesis"))
        else:
            shutil.copy(source, folder / name)
    return folder


def _with_copy(copies, work, given):
    folder = copies.get()
    try:
        return work(folder, given)
    finally:
        copies.put(folder)


def _try(folder: Path, mutant: Mutant) -> str:
    if mutant.applied() is None:
        return "not applicable"
    path = folder / mutant.file
    sound = path.read_text()
    _write(path, mutant.applied())
    try:
        return "survived" if _passes(folder, mutant.tests) else "killed"
    finally:
        _write(path, sound)


def _write(path: Path, text: str) -> None:
    """Write a source; its byte code goes too, since times and sizes of two texts may be equal."""
    path.write_text(text)
    Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)


def _passes(folder: Path, tests: tuple[str, ...]) -> bool:
    """Whether tests pass on a copy, within the time limit."""
    command = [sys.executable, "-m", "pytest", "-m", "not slow", "-x", "-q", "-p", "no:cacheprovider", *tests]
    env = os.environ | {"PYTHONPATH": str(folder)}
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=folder, env=env, start_new_session=True, **silent) as process:
        try:
            return process.wait(LIMIT_S) == 0
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return False


if __name__ == "__main__":
    sys.exit(main(" ".join(sys.argv[1:])))
