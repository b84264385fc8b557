"""Overview: each result in one sentence, and all of them side by side in one table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from addersim.format_quantity import AREA_UNITS, ENERGY_UNITS, TIME_UNITS, Units, best_unit, quantity
from addersim.report.markup import escape, link, percent, small_percent, whole
from addersim.results.contrast import COMPONENTS
from addersim.results.result import Result
from addersim.simulation import Simulation

__all__ = ["sentence", "summary_table"]

Cell = tuple[str, tuple[str, ...]]
"""A main text and small lines below it."""
Row = Callable[[Result, Result], Cell]
"""A cell of a result, from it and from the first result."""


def sentence(result: Result) -> str:
    """How often the result is right, or as float has it where there are no labels, as a list item of HTML."""
    found = result.simulation
    if found is None or (found.accuracy is None and found.agreement is None):
        return ""
    if found.accuracy is None:
        words = f"{percent(found.agreement)} of {whole(found.images)} images, which have no labels, are seen as in float"
    else:
        words = f"{percent(found.accuracy)} of {whole(found.images)} images are right in fixed point"
    if found.accuracy_float is not None:
        words += f", {percent(found.accuracy_float)} in float"
    warned = "".join(f" <strong>Warning</strong>: {escape(one)}." for one in found.warnings)
    return f"<li><strong>{escape(result.name)}</strong>: {escape(words)}.{warned}</li>"


def summary_table(results: Sequence[Result]) -> str:
    """One column a result, as HTML, energy and latency also as multiples of the first; empty rows are left out."""
    heads = "".join(f'<th scope="col">{escape(result.name)}</th>' for result in results)
    body = ""
    for label, cell in _ROWS:
        cells = [cell(result, results[0]) for result in results]
        if any(main for main, _ in cells):
            body += f'<tr><th scope="row">{escape(label)}</th>{"".join(map(_cell, cells))}</tr>'
    rows = f"<thead><tr><td></td>{heads}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="scroll summary"><table>{rows}</table></div>'


def _cell(cell: Cell) -> str:
    main, small = cell
    return f"<td>{escape(main)}{''.join(f'<small>{escape(line)}</small>' for line in small)}</td>"


def _simulated(get: Callable[[Simulation], str]) -> Row:
    return lambda result, _: (get(result.simulation) if result.simulation else "", ())


def _times(value: float, result: Result, first: Result, first_value: float) -> tuple[str, ...]:
    """A value as a multiple of the first result's, on a line of its own."""
    if result is first or not first_value:
        return ()
    name = "the first" if ", " in first.name else first.name  # a design of several parts would fill the cell
    ratio = f"{value / first_value:.3g}"
    return (f"as {name}" if ratio == "1" else f"{ratio} \N{MULTIPLICATION SIGN} {name}",)


def _departure(result: Result, _: Result) -> Cell:
    found = result.simulation
    if found is None or not found.errors:
        return "", ()
    if found.departure is None:
        worst = max(found.errors, key=lambda error: error.relative_error)
        return "none", (f"largest error {small_percent(worst.relative_error)}, at {worst.name}",)
    gone = found.departure
    return gone.name, (f"{small_percent(gone.relative_error)} off, threshold {small_percent(found.threshold)}",)


def _span(values: Iterable[int]) -> str:
    known = sorted(set(values))
    if not known:
        return ""
    return f"{known[0]}\u00a0bit" if len(known) == 1 else f"{known[0]} to {known[-1]}\u00a0bit"


def _bits(result: Result, _: Result) -> Cell:
    windows = [layer for layer in result.trace.layers if layer.work]
    facts = {
        "weights": _span(layer.weights.bits for layer in windows),
        "activations": _span(operand.bits for layer in windows for operand in layer.inputs),
        "accumulators": _span(layer.accumulator_bits for layer in windows if layer.accumulator_bits),
    }
    lines = tuple(f"{what} {bits}" for what, bits in facts.items() if bits)
    if result.program is not None:
        lines += (f"image {result.program.input}",)
    return (lines[0], lines[1:]) if lines else ("", ())


def _taps(result: Result, _: Result) -> Cell:
    parts = result.trace.taps_by_datapath()
    return whole(result.trace.taps), tuple(f"{name} {whole(taps)}" for name, taps in parts.items())


def _operations(result: Result, _: Result) -> Cell:
    counts = result.trace.operations
    return whole(counts.total()), tuple(f"{op} {whole(count)}" for op, count in counts.by_operation().items())


def _energy(result: Result, first: Result) -> Cell:
    cost = result.cost
    parts = sorted(cost.energy_by_component().items(), key=lambda part: -part[1])
    lines = (
        link(
            f"{COMPONENTS[name]} {quantity(energy / cost.batch, ENERGY_UNITS)}, {percent(energy / cost.energy_pj)}",
            "#numbers-parts",
        )
        for name, energy in parts
        if energy
    )
    energy, whole_first = cost.energy_pj_per_image, first.cost.energy_pj_per_image
    return _beside(energy, whole_first, ENERGY_UNITS), (*_times(energy, result, first, whole_first), *lines)


def _beside(value: float, first: float, units: Units) -> str:
    """A quantity in the unit of the first design's, so that a row has one unit."""
    size, unit = best_unit(first, units)
    return f"{value / size:,.4g}\u00a0{unit}"


def _latency(result: Result, first: Result) -> Cell:
    cost = result.cost
    if not cost.cycles:
        return "", ()
    return _beside(cost.latency_ms, first.cost.latency_ms, TIME_UNITS), (
        *_times(cost.latency_ms, result, first, first.cost.latency_ms),
        link(f"{whole(cost.cycles)} cycles at {cost.clock_mhz:g}\u00a0MHz", "#numbers-latency"),
        *(f"{percent(share)} set by {COMPONENTS[bound]}" for bound, share in cost.time_by_bound().items()),
        f"batch of {cost.batch}, {whole(cost.images_per_second)} images/s",
        f"utilisation {percent(cost.utilisation)}",
    )


def _area(result: Result, first: Result) -> Cell:
    area = result.area
    if area is None:
        return "", ()
    lines = (
        link(f"{COMPONENTS[unit]} {quantity(part, AREA_UNITS)}, {percent(part / area.area_um2)}", "#numbers-area")
        for unit, part in area.by_unit().items()
    )
    times = _times(area.area_um2, result, first, first.area.area_um2 if first.area else 0.0)
    return quantity(area.area_um2, AREA_UNITS), (*times, *lines, f"{whole(area.elements)} processing elements")


_ROWS: tuple[tuple[str, Row], ...] = (
    ("images simulated", _simulated(lambda found: whole(found.images))),
    ("accuracy in float", _simulated(lambda found: percent(found.accuracy_float))),
    ("accuracy in fixed point", _simulated(lambda found: percent(found.accuracy))),
    ("agreement with float", _simulated(lambda found: percent(found.agreement))),
    ("departs from float at", _departure),
    ("preprocessing", _simulated(lambda found: found.preprocessing)),
    ("formats", _bits),
    ("taps, one image", _taps),
    ("operations, one image", _operations),
    ("energy, one image", _energy),
    ("latency", _latency),
    ("area", _area),
    ("accelerator", lambda result, _: (result.cost.accelerator, ())),
    ("energy table", lambda result, _: (link(result.cost.table, "#numbers-prices"), ())),
    ("convention", lambda result, _: (result.cost.convention, ())),
)
