"""Plotly figures of results, one function a question: what the pages show, for notebooks and papers.

Each takes a `Result`, or several that are compared, and returns a `plotly.graph_objects.Figure`: a notebook shows it, and
``figure.write_image("energy.svg")`` writes it where kaleido is installed (``pip install 'addersim[figures]'``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from addersim.errors import ConfigError, check_kind
from addersim.report import figures as drawn
from addersim.report.frames import Frames
from addersim.results.comparison import compare
from addersim.results.result import Result

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = [
    "area_by_unit",
    "energy_by_layer",
    "energy_by_level",
    "energy_by_network",
    "energy_by_part",
    "energy_by_table",
    "errors_by_layer",
    "latency_by_layer",
    "operations_by_width",
    "ranges_by_layer",
    "ratio_by_scope",
    "ratio_by_table",
    "roofline",
]

Results = Result | Sequence[Result]


def energy_by_network(results: Results) -> go.Figure:
    """Energy of one image, a bar a result, stacked by component.

    Examples
    --------
    >>> from addersim import count, evaluate, load_network, quantize
    >>> found = [evaluate(count(quantize(load_network(name), None))) for name in ("lenet5-adder", "lenet5-conv")]
    >>> [bar.name for bar in energy_by_network(found).data]
    ['array', 'vector unit', 'buffers', 'DRAM']
    """
    return drawn.energy_by_network(_frames(results).energy)


def energy_by_part(results: Results) -> go.Figure:
    """Energy of one image by what it is spent on, the largest first, results side by side."""
    return drawn.energy_by_part(_frames(results).energy)


def energy_by_table(results: Results) -> go.Figure:
    """Energy of one image under every energy table."""
    return drawn.energy_by_table(_frames(results).tables)


def area_by_unit(results: Results) -> go.Figure:
    """Area of each design, stacked by unit."""
    return drawn.area_by_unit(_frames(results).areas)


def ratio_by_scope(results: Sequence[Result]) -> go.Figure:
    """Energy as a multiple of the first result's, counting the array alone, then ever more."""
    return drawn.ratio_by_scope(compare(results).contrasts)


def ratio_by_table(results: Sequence[Result]) -> go.Figure:
    """Energy as a multiple of the first result's under every energy table that prices both."""
    return drawn.ratio_by_table(compare(results).contrasts)


def energy_by_layer(result: Result) -> go.Figure:
    """Energy of one image, a bar a stage of the pipeline, stacked by component."""
    return drawn.energy_by_layer(_frames_of(result).energy, result.name)


def energy_by_level(result: Result) -> go.Figure:
    """Energy of moving words, a bar a level, stacked by operand."""
    return drawn.energy_by_level(_frames_of(result).energy, result.name)


def latency_by_layer(result: Result) -> go.Figure:
    """Time of one batch, a bar a stage, coloured by the resource that sets it."""
    return drawn.latency_by_layer(_frames_of(result).layers, result.name)


def roofline(result: Result) -> go.Figure:
    """Taps a cycle of each window layer against taps a byte of DRAM traffic, under the accelerator's roof."""
    frames = _frames_of(result)
    return drawn.roofline(frames.layers, next(frames.designs.itertuples()), result.name)


def operations_by_width(result: Result) -> go.Figure:
    """Operations of one image, a bar a kind, stacked by width."""
    return drawn.operations_by_width(_frames_of(result).operations, result.name)


def ranges_by_layer(result: Result) -> go.Figure:
    """What came out of each layer against what its format holds; of a result with a simulation."""
    return drawn.ranges_by_layer(_frames_of(result).ranges, result.name)


def errors_by_layer(result: Result, threshold: float | None = None) -> go.Figure:
    """Relative error of each stage against float; of a result with a simulation beside its float network."""
    return drawn.errors_by_layer(_frames_of(result).layers, result.name, threshold)


def _frames_of(result: Result) -> Frames:
    """Of one result, for figures of its layers."""
    check_kind(result, Result, "figures: result")
    return _frames(result)


def _frames(results: Results) -> Frames:
    found: list[Result] = list(results) if isinstance(results, (list, tuple)) else [results]  # type: ignore[list-item]
    if not found:
        raise ConfigError("figures: no results; give at least one")
    for one in found:
        check_kind(one, Result, "figures: result")
    return Frames.of(found)
