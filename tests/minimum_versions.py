"""The lowest versions that pyproject.toml declares, one requirement a line: what `make test-minimum` installs.

python tests/minimum_versions.py build             # what builds the package
python tests/minimum_versions.py run test ray      # what it needs to run, and what these extras add
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

__all__ = ["lowest"]

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
REQUIREMENT = re.compile(r"(?P<name>[\w-]+)(?:\[(?P<extras>[\w,]+)\])?(?:>=(?P<version>[\d.]+))?(?P<marker> *;.*)?")


def lowest(project: dict[str, Any], groups: Sequence[str]) -> list[str]:
    """Requirements of some groups (``build``, ``run``, names of extras), each pinned to the lowest version it allows.

    Examples
    --------
    >>> project = {"name": "this", "dependencies": ["numpy>=2.0"], "optional-dependencies": {"a": ["this[b]"], "b": ["b>=3"]}}
    >>> lowest({"project": project}, ["run", "a"])
    ['numpy==2.0', 'b==3']
    """
    found: dict[str, str] = {}
    for text in (text for group in groups for text in _requirements(project, group)):
        name, _, version, marker = _parts(text)
        pinned = f"{name}=={version}{marker or ''}"
        if found.setdefault(name, pinned) != pinned:
            raise SystemExit(f"pyproject.toml: {name} has two minimums: {found[name]} and {pinned}; say one")
    return list(found.values())


def _requirements(project: dict[str, Any], group: str) -> Iterator[str]:
    """Requirements of a group, those of the project's own extras in place of their names."""
    about = project["project"]
    if group == "build":
        given = project["build-system"]["requires"]
    else:
        given = about["dependencies"] if group == "run" else about["optional-dependencies"][group]
    for text in given:
        name, extras, version, _ = _parts(text)
        if name == about["name"] and extras:
            for extra in extras.split(","):
                yield from _requirements(project, extra)
        elif version:
            yield text
        else:
            raise SystemExit(f"pyproject.toml: {text!r} has no minimum; write {name}>=VERSION")


def _parts(text: str) -> tuple[str, str | None, str | None, str | None]:
    found = REQUIREMENT.fullmatch(text)
    if not found:
        raise SystemExit(f"pyproject.toml: cannot read {text!r}; write NAME>=VERSION")
    return found["name"], found["extras"], found["version"], found["marker"]


if __name__ == "__main__":
    print("\n".join(lowest(tomllib.loads(PYPROJECT.read_text(encoding="utf-8")), sys.argv[1:])))
