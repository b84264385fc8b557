"""MUTANTS: the one-line faults, by module. The old text stands exactly once in its file, or the list is refused."""

from dataclasses import dataclass
from pathlib import Path

from tests.mutants import certificate, cuda, engine, gates, hardware, pages, readers, rtl, training

__all__ = ["MUTANTS", "ROOT", "Mutant"]

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Mutant:
    """One fault: in a file, an old text gives way to a new one; the tests that are to notice."""

    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    @property
    def name(self) -> str:
        """How messages call it."""
        return f"{self.file.removeprefix('addersim/')}: {self.old.strip()} -> {self.new.strip() or 'nothing'}"

    def applied(self) -> str | None:
        """The file's text with the fault; None where the old text does not stand in it exactly once."""
        path = ROOT / self.file
        text = path.read_text() if path.is_file() else ""
        return text.replace(self.old, self.new) if text.count(self.old) == 1 else None


def _listed(*tables):
    for table in tables:
        for file, (tests, changes) in table.items():
            for old, new in changes:
                path = file if file.startswith("ext/") else f"addersim/{file}"
                yield Mutant(path, old, new, tuple(f"tests/{one}" for one in tests.split()))


_TABLES = (certificate, cuda, engine, gates, hardware, pages, readers, rtl, training)
MUTANTS = tuple(_listed(*(one.CHANGES for one in _TABLES)))
