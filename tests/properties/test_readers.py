"""No file, however damaged, gives anything but a sound record or one line; a number is the same mutant on every run."""

import contextlib
import os
import random
import resource
import shutil
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("torch")

from addersim.errors import AddersimError
from tests.command_line import call
from tests.properties.mutators import binary
from tests.properties.reader_targets import targets

pytestmark = pytest.mark.filterwarnings("ignore::addersim.errors.AddersimWarning")  # names of columns, keys of no tool
MUTANTS = int(os.environ.get("READER_MUTANTS", "600"))
MANY = 20_000
MOST_SECONDS = 20
"""For one mutant, on a machine that does other things beside it; a sound file takes some milliseconds."""
MOST_KIB = 400_000
"""By which one mutant may raise the process's largest memory."""
ROOM_BYTES = 8 << 30
"""Of address space beyond what is taken at the start: a reader that asks for more fails instead of taking the machine down."""


class TooSlow(BaseException):
    """A mutant took too long; no `Exception`, so that no reader can catch it."""


@contextlib.contextmanager
def bounded():
    """An end to time and address space."""

    def stop(*_):
        raise TooSlow

    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    old = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGALRM, stop)
    resource.setrlimit(resource.RLIMIT_AS, (size + ROOM_BYTES, old[1]))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, old)


def judged(run):
    """ "accepted", "refused", or what went wrong."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    signal.setitimer(signal.ITIMER_REAL, MOST_SECONDS)
    try:
        found = run()
    except AddersimError as error:
        found = "refused" if str(error) and str(error).isprintable() else f"refused by {str(error)!r}"
    except TooSlow:
        return f"more than {MOST_SECONDS} s"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
    return found if more <= MOST_KIB else f"{more:,} KiB of memory"


def command_line(arguments):
    """The same for a command line: status 0 with no lines but warnings, or 2 and one line."""
    done = call(*arguments)
    status, lines = done.returncode, done.stderr.splitlines()
    if status == 0 and all(line.startswith("addersim: warning: ") for line in lines):
        return "accepted"
    if status == 2 and len(lines) == 1 and lines[0].startswith("addersim: ") and "not enough memory" not in lines[0]:
        return "refused"
    return f"{arguments[0]}: status {status}, {lines}"


def lay(target, folder, content):
    """A folder with the damaged file; its path."""
    for name, sound in {**target.beside, target.place: content}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(sound)
    return folder / target.place


def mutant(mutate, content, source):
    """A mutant of what may be a mutant already, of which a mutator that knows the format may make nothing more."""
    try:
        return mutate(content, source)
    except Exception:
        return binary(content, source)


def fuzz(target, folder, numbers):
    """Counts of mutants tried, refused and accepted, and the violations by number."""
    counts, violations = Counter(), {}
    for number in numbers:
        source = random.Random(f"{target.name} {number}")
        content = target.sound
        for _ in range(source.choice((1, 1, 1, 2, 4))):
            content = mutant(target.mutate, content, source)
        path = lay(target, folder, content)
        found = judged(lambda path=path: (target.read(path), "accepted")[1])
        if target.verbs and (found == "accepted" or number % 4 == 0):
            verb = target.verbs[number % len(target.verbs)]
            arguments = [one.replace("{folder}", str(folder)).replace("{}", str(path)) for one in verb]
            said = judged(lambda arguments=arguments: command_line(arguments))
            if said not in ("accepted", "refused"):
                found = said
        counts["tried"] += 1
        counts[found if found in ("accepted", "refused") else "violations"] += 1
        if found not in ("accepted", "refused"):
            violations[number] = found
    return counts, violations


def check(folder, capsys, mutants):
    """Fuzz every reader, print its counts, and fail with what was violated."""
    (folder / "sound").mkdir()
    found = targets(folder / "sound")
    shares = sum(target.share for target in found)
    told, bad = [], {}
    with bounded():
        for target in found:
            begin = time.perf_counter()
            here = folder / "mutant"
            sound = judged(lambda target=target, here=here: (target.read(lay(target, here, target.sound)), "accepted")[1])
            assert sound == "accepted", (target.name, sound)
            counts, violations = fuzz(target, here, range(round(mutants * target.share / shares)))
            shutil.rmtree(here)
            told.append(
                f"{target.name:24}"
                + "".join(f"{what} {counts[what]:6}  " for what in ("tried", "refused", "accepted", "violations"))
                + f"{time.perf_counter() - begin:6.1f} s"
            )
            bad |= {f"{target.name} {number}": words for number, words in violations.items()}
    with capsys.disabled():
        print("\n" + "\n".join(told))
    assert not bad, "\n".join(f"{name}: {words}" for name, words in bad.items())


@pytest.mark.filterwarnings("default")
def test_damaged_files_are_sound_or_one_line(tmp_path, capsys):
    check(tmp_path, capsys, MUTANTS)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_many_damaged_files_are_sound_or_one_line(tmp_path, capsys):
    check(tmp_path, capsys, MANY)
