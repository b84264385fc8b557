"""addersim check: is this file sound?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from addersim.cli import options
from addersim.cli.output import print_json, print_table
from addersim.errors import ConfigError


def run(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Networks, programs (.npz, .onnx), accelerators, sweeps (.toml), SCALE-Sim's (.cfg), energy tables (.csv)."
        ),
    ],
    json: options.Json = False,
) -> None:
    """Check files: networks, programs, accelerators, sweeps and energy tables. The first fault ends it with status 2."""
    rows = [{"file": str(path)} | _check(path) for path in files]
    if json:
        print_json(rows)
    else:
        print_table("all sound", rows)


def _check(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise ConfigError(f"{path}: no such file")
    checks = {".npz": _network, ".onnx": _network, ".toml": _toml, ".cfg": _accelerator, ".csv": _table}
    if path.suffix not in checks:
        raise ConfigError(f"{path}: cannot tell what it is; known endings: {', '.join(checks)}")
    return checks[path.suffix](path)


def _network(path: Path) -> dict[str, Any]:
    from addersim.library import load_network_or_program

    found = load_network_or_program(path)
    return {"holds": type(found).__name__.lower(), "name": found.name, "size": f"{len(found.layers)} layers"}


def _toml(path: Path) -> dict[str, Any]:
    """A sweep names networks, an accelerator does not."""
    import tomllib

    from addersim.config import read_text

    try:
        study = "networks" in tomllib.loads(read_text(path))
    except (ValueError, RecursionError):
        study = False  # told in full by the accelerator's reader
    return _sweep(path) if study else _accelerator(path)


def _sweep(path: Path) -> dict[str, Any]:
    from addersim.sweeps.plan import make_plan
    from addersim.sweeps.study import load_study

    return {"holds": "sweep", "name": path.stem, "size": f"{len(make_plan(load_study(path)).points)} points"}


def _accelerator(path: Path) -> dict[str, Any]:
    from addersim.hardware.accelerator import load_accelerator

    found = load_accelerator(path)
    return {"holds": "accelerator", "name": found.name, "size": f"{found.array.rows} x {found.array.columns}"}


def _table(path: Path) -> dict[str, Any]:
    from addersim.hardware.energy_file import load_table

    found = load_table(path)
    return {"holds": "energy table", "name": found.name, "size": f"{len(found.rows)} rows"}
