"""The figures of the text: `text.md` asks for them by name, so that none can differ from results.csv.

A placeholder is a measure and what it is wanted of; it holds one figure, or the range of several:

    {saving[whole resnet18 edge*]}        ResNet-18's saving with all counted, on the design whose name begins so
    {share[dram lenet5 batch=16]}         per cent of the twin's energy, over all designs
    {time[resnet* equal=area]:.1f}        the twin's time over the adder network's, to another digit

Words without a key are networks or accelerators. What is not said is 8 bits, batch 1, equal elements, circuit 2a, and each
design's own table behind single figures.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

DEFAULTS = {"bits": "8", "batch": "1", "equal": "elements", "case": "2a", "table": "reference"}
SCOPES = {"paper": "saving_paper", "array": "saving_to_array", "vector": "saving_to_vector", "whole": "saving_to_leakage"}


def reference(row):
    """Whether a row is priced by the table behind single figures: the Eyeriss-like array has its own."""
    return row["table"] == ("eyeriss-65nm" if row["accelerator"] == "eyeriss-65nm" else "horowitz-45nm")


def saving(row, scope):
    return float(row[SCOPES[scope]])


def share(row, part):
    """Per cent of the twin's energy."""
    return 100 * float(row[f"conv_{part}_uj"]) / float(row["conv_uj"])


def saved(row, part):
    """Per cent of the twin's energy that the adder network saves, as a whole or by a part."""
    name = "" if part == "whole" else f"{part}_"
    return 100 * (float(row[f"conv_{name}uj"]) - float(row[f"adder_{name}uj"])) / float(row["conv_uj"])


def elements(row, network):
    return float(row[f"{network}_elements"])


def time(row):
    """The twin's time over the adder network's."""
    return float(row["conv_ms"]) / float(row["adder_ms"])


def multiplied_taps(row):
    """Per cent of the adder network's taps."""
    return float(row["multiplied_taps_percent"])


def budget_mm2(row):
    return float(row["area_budget_mm2"])


PARTED = {saving: ".2f", share: ".1f", saved: ".1f", elements: ".0f"}
"""Measures of a part, which a placeholder names first, and how they are written."""
WHOLE = {time: ".2f", multiplied_taps: ".1f", budget_mm2: ".2f"}


def fill(template, rows):
    """The template's text, its figures from the rows."""
    measures = {measure.__name__: Measure(measure, rows) for measure in (*PARTED, *WHOLE)}
    return template.format(**measures)


class Measure:
    """A measure of some rows: `measure[query]` is what the placeholder's query finds."""

    def __init__(self, measure, rows):
        self.measure, self.rows = measure, rows

    def __getitem__(self, query):
        words = query.split()
        part = [words.pop(0)] if self.measure in PARTED else []
        found = [self.measure(row, *part) for row in select(self.rows, words)]
        if not found:
            raise LookupError(f"{self.measure.__name__}[{query}]: no row of results.csv")
        return Span(found, (PARTED | WHOLE)[self.measure])


class Span:
    """One figure, or the range of several."""

    def __init__(self, values, digits):
        self.values, self.digits = values, digits

    def __format__(self, digits):
        return " to ".join(dict.fromkeys(format(end(self.values), digits or self.digits) for end in (min, max)))


def select(rows, words):
    """The priced rows that a query's words allow; several words for one column are alternatives."""
    wanted = {key: [value] for key, value in DEFAULTS.items()}
    for word in words:
        key, _, value = word.rpartition("=")
        if key:
            wanted[key] = [value]
        else:
            known = any(fnmatchcase(row["network"], word) for row in rows)
            wanted.setdefault("network" if known else "accelerator", []).append(word)
    tables = wanted.pop("table")
    return [
        row
        for row in rows
        if not row["refused"]
        and (reference(row) if tables == ["reference"] else fnmatchcase(row["table"], *tables))
        and all(any(fnmatchcase(row[key], one) for one in allowed) for key, allowed in wanted.items())
    ]
