"""addersim sweep: accuracy, energy and latency over networks, bit widths, circuits and accelerators."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from addersim.cli import options
from addersim.cli.complete import completes
from addersim.cli.output import bars, print_json, print_table, say, say_file, say_page
from addersim.cli.streams import complain
from addersim.cli.vary import Vary, grid_of
from addersim.errors import ConfigError
from addersim.format_quantity import how_many
from addersim.inputs.limits import BATCH, IMAGES, JOBS
from addersim.inputs.opening import STANDARD
from addersim.inputs.text import did_you_mean
from addersim.tabular import percent

if TYPE_CHECKING:
    from addersim.exploration.sweeps.run import Progress, Sweep
    from addersim.exploration.sweeps.study import Study
    from addersim.report.sweep.points import Points

DEFAULT = "bit-widths"
MOST_ROWS = 100
"""Points that are printed one by one; of more, the Pareto-optimal ones."""


def run(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[STUDY | NETWORK...]",
            autocompletion=completes("sweeps", "networks", "architectures"),
            help="A bundled study (addersim list sweeps) or a TOML file; or networks. Default: bit-widths.",
        ),
    ] = None,
    bits: Annotated[str | None, typer.Option(help="Widths of weights and activations together: 2..8,12,16.")] = None,
    weight_bits: Annotated[str | None, typer.Option(help="Widths of weights, where activations have others.")] = None,
    activation_bits: Annotated[str | None, typer.Option(help="Widths of activations, where weights have others.")] = None,
    ends: options.Ends = None,
    accumulator: Annotated[str | None, typer.Option(help="Registers, such as exact,16:saturate,16:wrap.")] = None,
    datapath: Annotated[
        list[str] | None, typer.Option(help="Datapaths of adder layers: 2a,1c1a,xor, or their full names.")
    ] = None,
    circuit: options.Circuit = None,
    clip_weights: Annotated[str | None, typer.Option(help="Exact clipping of adder weights: yes,no.")] = None,
    calibration: Annotated[str | None, typer.Option(help="How scales are chosen: mse,percentile,min-max.")] = None,
    correction: Annotated[str | None, typer.Option(help="Statistics that are kept: mean-variance,mean,none.")] = None,
    multiplier: Annotated[
        str | None, typer.Option(help="Of multiplying layers: exact, and tables of 256 x 256 products: exact,mul8u.toml.")
    ] = None,
    accelerator: Annotated[
        str | None,
        typer.Option(help="Accelerators: bundled names or TOML files.", autocompletion=completes("accelerators")),
    ] = None,
    table: Annotated[str | None, typer.Option(help="Energy tables: bundled names or CSV files.")] = None,
    batch: Annotated[str | None, typer.Option(help="Images that run as one batch: 1,16.")] = None,
    vary: Vary = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="SET|FILE|FOLDER", help="Image set, or your own labelled images, as in addersim simulate."),
    ] = None,
    root: options.Root = None,
    resize: options.Resize = False,
    images: Annotated[
        int | None, options.whole(IMAGES, "--images", help="Simulate only this number of test images, from the first on.")
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "--out", "-o", help="Folder that keeps every point; a sweep in it goes on.")
    ] = Path("sweep"),
    jobs: Annotated[int | None, options.whole(JOBS, "--jobs", help="Local processes; all processors by default.")] = None,
    engine: Annotated[str, typer.Option(help="local, or a running cluster: dask, ray.")] = "local",
    address: Annotated[str | None, typer.Option(help="The cluster's scheduler, such as tcp://host:8786.")] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Run failed points again.")] = False,
    report: Annotated[
        bool, typer.Option("--report", help="Simulate nothing: write the page of the points that are done.")
    ] = False,
    figures: options.Figures = None,
    json: options.Json = False,
) -> None:
    """Sweep bit widths, registers, circuits and accelerators; a stopped sweep goes on where it was.

    Options take lists with commas and replace the study's axes. The folder gets tables and a page, index.html.
    """
    from rich.console import Console

    from addersim.exploration.sweeps.run import recall, sweep
    from addersim.exploration.sweeps.training import train_networks
    from addersim.processes.result_folders import held

    options.check_figures(figures)
    axes = {
        "bits": bits,
        "weight_bits": weight_bits,
        "activation_bits": activation_bits,
        "accumulator": accumulator,
        "datapath": ",".join([*(datapath or ()), *(circuit or ())]) or None,
        "clip_weights": clip_weights,
        "calibration": calibration,
        "correction": correction,
        "multiplier": multiplier,
        "accelerator": accelerator,
        "table": table,
        "batch": batch,
    }
    others: dict[str, Any] = {"data": data, "root": root and str(root), "resize": resize or None, "images": images}
    others |= {"ends": ends, "vary": grid_of(vary) or None}
    if report:
        if given := [
            *(what or ()),
            *(f"--{key.replace('_', '-')}" for key, value in (axes | others).items() if value is not None),
        ]:
            raise ConfigError(f"--report lays out the sweep that {output} holds; leave out {given[0]}")
        found = recall(output, note=complain)
    else:
        asked = make_study(what or [], axes, others)
        with held(output, "sweep", together=True):
            study = train_networks(asked, output, console=Console(stderr=True), note=complain)
        with _watch() as progress:
            how: dict[str, Any] = {"jobs": jobs, "engine": engine, "address": address, "retry": retry}
            found = sweep(study, output, **how, progress=progress, note=complain)
    _finish(found, json, figures)


def _finish(found: Sweep, json: bool, figures: Path | None) -> None:
    """Write the page and print what was found."""
    from addersim.report.sweep.render import write_sweep_page

    page = write_sweep_page(found.folder, figures)
    if json:
        print_json(found.to_dict() | {"page": str(page)})
        return
    _print(found)
    say_page(page, figures)


def make_study(what: Sequence[str], axes: dict[str, str | None], others: dict[str, Any]) -> Study:
    """A study from a name or networks, and options that replace its axes."""
    import msgspec

    from addersim.config import make_record
    from addersim.exploration.sweeps.study import Study, load_study

    given: dict[str, Any] = {key: _values(key, text) for key, text in axes.items() if text is not None}
    given |= {key: value for key, value in others.items() if value is not None}
    if not what or (len(what) == 1 and _is_study(what[0])):
        found = msgspec.to_builtins(load_study(what[0] if what else DEFAULT))
        if {"bits", "weight_bits", "activation_bits"} & given.keys():
            found = {key: value for key, value in found.items() if key not in ("bits", "weight_bits", "activation_bits")}
        if {"datapath", "circuit"} & given.keys():
            found = {key: value for key, value in found.items() if key not in ("datapath", "circuit")}
    else:
        found = {"networks": what}
    if (grid := given.pop("vary", None)) is not None:
        given["grid"] = found.get("grid", {}) | grid
    if (ends := given.pop("ends", None)) is not None:
        found["quantization"] = found.get("quantization", {}) | {"ends_bits": ends}
    return make_record(found | given, Study, "options")


def _is_study(name: str) -> bool:
    """Whether a name is that of a study, or of none but nearly, so that it is the studies that are listed."""
    from addersim.exploration.sweeps.study import study_names

    studies = study_names()
    if name in studies or name.endswith(".toml") or name == STANDARD:
        return True
    return bool(did_you_mean(name, studies)) and not os.path.lexists(name)


def _values(key: str, text: str) -> Any:
    """What an option's text says on an axis."""
    if key.endswith("bits"):
        return text
    parts = [part.strip() for part in text.split(",")]
    if key == "clip_weights":
        if wrong := [part for part in parts if part not in ("yes", "no")]:
            raise ConfigError(f"--clip-weights: {wrong[0]!r} is not yes or no")
        return [part == "yes" for part in parts]
    if key == "batch":
        return [BATCH.read(part, "--batch") for part in parts]
    return parts


@contextmanager
def _watch() -> Iterator[Callable[[Progress], None]]:
    """A bar with points done and failed."""
    with bars("{task.fields[failed]} failed") as shown:
        task = shown.add_task("points", total=None, failed=0)
        yield lambda one: shown.update(task, total=one.points, completed=one.done, failed=one.failed)


def _print(found: Sweep) -> None:
    from addersim.report.sweep.frame import sweep_frame
    from addersim.report.sweep.points import AXES, Points

    points = Points.of(sweep_frame(found.folder))
    rows = points.frame.astype(object).where(points.frame.notna(), None).to_dict("records")
    names = {axis: AXES[axis] for axis in dict.fromkeys(("network", *points.axes))}
    if points.together and "weight_bits" in names:
        names = {axis: name for axis, name in names.items() if axis != "activation_bits"} | {"weight_bits": "bits"}
    shown = [row for row in rows if len(rows) <= MOST_ROWS or row["pareto"]]
    same = ", ".join(f"{axis} {rows[0][axis]}" for axis in ("accelerator", "table") if axis not in names)
    title = f"{how_many(len(rows), 'points')}, {how_many(rows[0]['images'], 'images')} each{same and '; ' + same}"
    if shown:
        print_table(title, [_line(row, names) for row in shown], lead=len(names))
    if len(shown) < len(rows):
        say(f"Pareto-optimal points only; all {len(rows):,} are in {found.files[0].name}")
    say()
    for name in points.frame["network"].unique():
        say(f"{name}: {_fewest(points, name)}")
    say("* Pareto-optimal: no point of the same table takes less energy and is as accurate, or is more accurate for as much")
    if len(points.failed):
        first = points.failed["error"].iloc[0]
        say(f"{how_many(len(points.failed), 'points')} failed; the first: {first}; --retry does them again")
    if points.waiting:
        say(f"{points.waiting:,} of {len(rows):,} points are not done; the same sweep goes on where it was")
    for file in found.files:
        say_file("results", file)
    if len(found.files) == 1:
        say("no Parquet beside it: pip install 'addersim[parquet]'")


def _line(row: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    energy = row["energy_pj"]
    return {name: row[axis] for axis, name in names.items()} | {
        "accuracy": percent(row["accuracy"]),
        "float": percent(row["accuracy_float"]),
        "array nJ": "" if energy is None else row["energy_array_pj"] / 1e3,
        "energy nJ": "" if energy is None else energy / 1e3,
        "latency ms": "" if energy is None else row["latency_ms"],
        "cold nJ": "" if row.get("cold_start_pj") is None else row["cold_start_pj"] / 1e3,
        "": "failed" if row["error"] else "waits" if energy is None else "*" if row["pareto"] else "",
    }


def _fewest(points: Points, network: str) -> str:
    """The fewest bits with which a network is nearly as good as in float."""
    from addersim.report.sweep.findings import NEAR, fewest_bits
    from addersim.report.sweep.points import plain_bits

    near = f"within {max(NEAR):g} point of float"
    best = fewest_bits(points.done[points.done["network"] == network], max(NEAR))
    if best is None:
        return f"no point comes {near}"
    return f"{plain_bits(best['weight_bits'], best['activation_bits'])} come {near} ({percent(best['accuracy'])})"
