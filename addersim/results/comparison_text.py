"""A comparison told in words."""

from __future__ import annotations

from collections.abc import Mapping

from addersim.format_quantity import ENERGY_UNITS, TIME_UNITS, quantity
from addersim.results.contrast import COMPONENTS, SAME, Contrast, array_alone, time_ms_per_image
from addersim.results.result import Result

__all__ = ["headline"]


def headline(first: Result, result: Result | None = None) -> str:
    """The finding in two or three sentences: who takes less, what the array alone says, and where the saving vanishes."""
    if result is None or not (first.cost.energy_pj and result.cost.energy_pj):
        return _alone(first)
    contrast = Contrast(first, result)
    low, high = sorted((first, result), key=lambda one: one.cost.energy_pj_per_image)
    less = low.cost.energy_pj_per_image / high.cost.energy_pj_per_image
    energies = [quantity(one.cost.energy_pj_per_image, ENERGY_UNITS) for one in (low, high)]
    full, short, both = _told_apart(first.name, result.name)
    if less > 1 - SAME:
        words = [f"{full[first.name]} and {full[result.name]}{both} take the same energy an image, {energies[0]}"]
    else:
        words = [
            f"{full[low.name]} takes {_share(1 - less)} less energy an image than {full[high.name]}{both}: "
            f"{energies[0]} against {energies[1]}"
        ]
    words += _array_words(low, high, short[high.name]) + _cause_words(contrast, short[result.name])
    words += _time_words(first, result, short)
    ratios = contrast.ratio_by_table()
    if len(ratios) > 1:
        ends = min(ratios.values()), max(ratios.values())
        words.append(
            f"Under each of {len(ratios)} energy tables the two take the same energy"
            if max(abs(ends[0] - 1), abs(ends[1] - 1)) < SAME
            else f"Under {len(ratios)} energy tables {short[result.name]} takes {ends[0]:.3g} to {ends[1]:.3g} times "
            f"{_of(short[first.name])} energy"
        )
    if tables := contrast.differs_in().get("energy table"):
        words.append(f"They are priced by different tables ({tables[0]}, {tables[1]}), which is part of the difference")
    return ". ".join(words) + "."


def _alone(result: Result) -> str:
    cost = result.cost
    words = f"{result.name} takes {quantity(cost.energy_pj_per_image, ENERGY_UNITS)} an image"
    words += "" if cost.batch == 1 else f", {cost.batch} images together,"
    if not cost.cycles:
        return f"{words}, of arithmetic alone."
    parts = sorted(cost.energy_by_component().items(), key=lambda part: -part[1])
    shares = ", ".join(f"{COMPONENTS[name]} {_share(energy / cost.energy_pj)}" for name, energy in parts if energy)
    return f"{words} on {cost.accelerator} ({shares}) and {quantity(time_ms_per_image(cost), TIME_UNITS)}."


def _told_apart(one: str, other: str) -> tuple[dict[str, str], dict[str, str], str]:
    """By name, all parts that tell two names apart and the first of them; and what the two share.

    Names of designs are parts with commas between them, such as a network, an accelerator and a table.
    """
    names = one, other
    parts = [name.split(", ") for name in names]
    if len(parts[0]) != len(parts[1]) or one == other:
        return dict(zip(names, names, strict=True)), dict(zip(names, names, strict=True)), ""
    apart = [(mine, theirs) for mine, theirs in zip(*parts, strict=True) if mine != theirs]
    shared = [mine for mine, theirs in zip(*parts, strict=True) if mine == theirs]
    full = {name: ", ".join(pair[place] for pair in apart) for place, name in enumerate(names)}
    return full, dict(zip(names, apart[0], strict=True)), f" (both {', '.join(shared)})" if shared else ""


def _of(name: str) -> str:
    """A name as that of the one that something belongs to."""
    return f"{name}'" if name.endswith("s") else f"{name}'s"


def _array_words(low: Result, high: Result, high_name: str) -> list[str]:
    """What the array alone says, and how much of the whole it and the largest other component are."""
    mine, theirs = ({name: pj / one.cost.batch for name, pj in one.cost.energy_by_component().items()} for one in (low, high))
    if not (mine.get("array") and theirs.get("array")) or not low.cost.cycles or not high.cost.cycles:
        return []
    total = sum(theirs.values())
    largest = max((name for name in theirs if name != "array"), key=lambda name: theirs[name])
    change = mine["array"] / theirs["array"]
    if abs(change - 1) < SAME:
        return []
    share = theirs["array"] / total
    joined = "but" if change < 1 and share < 0.5 else "and"
    kept = _change(mine.get(largest, 0.0) / theirs[largest]) if theirs[largest] else "the same"
    takes = "take" if COMPONENTS[largest].endswith("s") else "takes"
    return [
        f"Its array alone takes {_change(change)} (a convention: {array_alone(low.cost, high.cost)}), "
        f"{joined} the array is {_share(share)} of {_of(high_name)} energy; "
        f"{COMPONENTS[largest]}, {_share(theirs[largest] / total)}, {takes} {kept}"
    ]


def _cause_words(contrast: Contrast, name: str) -> list[str]:
    """Where the difference is, where it is not in the array."""
    array = contrast.ratio_by_scope().get("array")
    if array is None or abs(array - 1) >= SAME or not (causes := contrast.causes()):
        return []
    more = f" and {len(causes) - 1} more" if len(causes) > 1 else ""
    return [f"Arithmetic in the array is the same; {name} differs in {causes[0]}{more}"]


def _time_words(first: Result, result: Result, names: Mapping[str, str]) -> list[str]:
    mine, other = time_ms_per_image(first.cost), time_ms_per_image(result.cost)
    if not (mine and other):
        return []
    times = f"{quantity(mine, TIME_UNITS)}"
    if abs(other / mine - 1) < SAME:
        return [f"Both take {times} an image"]
    return [f"An image takes {times} with {names[first.name]}, {quantity(other, TIME_UNITS)} with {names[result.name]}"]


def _change(ratio: float) -> str:
    if abs(ratio - 1) < SAME:
        return "the same"
    return f"{_share(abs(1 - ratio))} {'less' if ratio < 1 else 'more'}"


def _share(share: float) -> str:
    return f"{100 * share:.{3 if share >= 0.1 else 2}g}\u00a0%"
