"""Classes: which of a network's each folder, or each name of a table, stands for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from addersim.datasets.wanted import Takes
from addersim.errors import DataError
from addersim.inputs.limits import shown
from addersim.inputs.opening import read_file
from addersim.inputs.text import printable

__all__ = ["LABELS", "LISTS", "class_list", "class_numbers", "named_labels", "numbered"]

LISTS = ("classes.txt", "LOC_synset_mapping.txt")
"""Files that list all classes in the network's order, a line each, of which the first word is the folder's name."""
LABELS = ("label", "labels", "fine_label", "class", "target", "y")
"""Columns of a table that hold the class of a row."""
_MOST_NAMED = 5
_MOST_CLASSES = 1 << 20
_LONGEST_LIST = 4 << 20


def class_list(folder: Path) -> tuple[str, ...]:
    """Names of a file of `LISTS` in a folder; empty where there is none."""
    path = next((folder / name for name in LISTS if (folder / name).is_file()), None)
    if path is None:
        return ()
    lines = read_file(path, _LONGEST_LIST, DataError).decode("utf-8", "replace").splitlines()
    return tuple(line.split()[0] for line in lines if line.strip())


def class_numbers(
    folder: Path, names: Sequence[str], network: Takes, warned: list[str], listed: Sequence[str] | None = None
) -> list[int]:
    """The class of each folder: that of its name among the network's or in a list beside, or else its place in their order."""
    if listed and len(listed) != network.outputs:
        raise DataError(f"{folder}: the list of classes beside it holds {len(listed)}, {network.name} has {network.outputs}")
    ours = tuple(listed or network.classes)
    same = _letters if len(set(map(_letters, ours))) == len(ours) else str
    known = {same(name): number for number, name in enumerate(ours)}
    strange = [name for name in names if same(name) not in known]
    if not strange:
        return [known[same(name)] for name in names]
    if len(strange) < len(names) or listed:
        raise DataError(
            f"{folder}: folder {shown(strange[0])} is no class of {network.name}"
            f"{'' if len(strange) == len(names) else ', the others are'}; its classes: {', '.join(ours[:20])}"
        )
    numbered = all(name.isdecimal() for name in names)
    if len(names) != network.outputs:
        if numbered and len(names) < network.outputs and all(int(name) < network.outputs for name in names):
            warned.append(f"{len(names)} folders of {network.outputs} classes: each is the class of its number")
            return [int(name) for name in names]
        raise DataError(
            f"{folder}: holds {len(names)} classes ({_listed(names)}), expected one for "
            f"each of the {network.outputs} classes of {network.name}" + ("; or call them as its classes" if known else "")
            + "; or list all of its classes, one a line, in a file classes.txt there"
        )  # fmt: skip
    if numbered and (by_number := sorted(names, key=int)) != list(names):
        warned.append(
            f"classes are the folders in the order of their names as text ({', '.join(names[:3])}, ...), as torchvision's "
            f"ImageFolder has it, not as numbers ({', '.join(by_number[:3])}, ...); zeros in front make both the same"
        )
    elif known and not numbered:
        warned.append(
            f"no folder is called as a class of {network.name} ({', '.join(network.classes[:3])}, ...): they are taken as its "
            "classes in the order of their names"
        )
    return list(range(len(names)))


def named_labels(where: Path, rows: Sequence[str], network: Takes, warned: list[str]) -> list[int]:
    """The class of each row of a table that names classes."""
    names = sorted(set(rows))
    numbers = dict(zip(names, class_numbers(where, names, network, warned), strict=True))
    return [numbers[one] for one in rows]


def numbered(where: str, largest: int) -> tuple[str, ...]:
    """Names of classes that are told by their numbers alone, up to the largest one. Raises DataError."""
    if not 0 <= largest < _MOST_CLASSES:
        raise DataError(f"{where}: label {largest}; labels are the numbers of classes, from 0 on, below {_MOST_CLASSES:,}")
    return tuple(map(str, range(largest + 1)))


def _letters(name: str) -> str:
    """A class's name without what differs where it becomes a folder's."""
    return "".join(one for one in name.casefold() if one.isalnum())


def _listed(names: Sequence[str]) -> str:
    return ", ".join([*map(printable, names[:_MOST_NAMED]), *(["..."] if len(names) > _MOST_NAMED else [])])
