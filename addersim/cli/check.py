"""addersim check: is this file sound?"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from addersim.cli import options
from addersim.cli.output import print_json, print_table
from addersim.errors import ConfigError
from addersim.format_quantity import how_many
from addersim.inputs.opening import STANDARD, near_file, source


def run(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Networks and programs (.npz, .onnx, .tflite); accelerators, sweeps, training studies, rules of quantisation "
            "and multipliers (.toml); SCALE-Sim's .cfg; energy tables (.csv)."
        ),
    ],
    json: options.Json = False,
) -> None:
    """Check files of every kind that the verbs take. The first fault ends it with status 2."""
    rows = [{"file": source(path)} | _check(path) for path in files]
    if json:
        print_json(rows)
    else:
        print_table("all sound", rows)


def _check(path: Path) -> dict[str, Any]:
    from addersim.model_zoo import file_kind

    if str(path) == STANDARD:
        return _text(path, "") if file_kind(path) == ".csv" else _network(path)
    if not os.path.lexists(path):
        raise ConfigError(f"{path}: no such file{near_file(path)}")
    if path.suffix in (".npz", ".onnx", ".tflite"):
        return _network(path)
    if path.suffix in (".toml", ".cfg", ".csv"):
        return _text(path, path.suffix)
    if path.is_dir():
        raise ConfigError(f"{path}: is a folder; check takes files, such as {path / '*'}")
    raise ConfigError(f"{path}: cannot tell what it is; known endings: .npz, .onnx, .tflite, .toml, .cfg, .csv")


def _network(path: Path) -> dict[str, Any]:
    from addersim.model_zoo import load_network_or_program

    found = load_network_or_program(path)
    return {"holds": type(found).__name__.lower(), "name": found.name, "size": how_many(len(found.layers), "layers")}


def _text(path: Path, suffix: str) -> dict[str, Any]:
    """What a text holds; where it has no ending, as on standard input, its first word tells a table."""
    from addersim.config import read_text

    text, where = read_text(path), source(path)
    if suffix == ".csv" or (not suffix and text.lstrip().startswith("component")):
        return _table(Path(where).stem, text, where)
    found = next((check for key, check in _KINDS.items() if key in _keys(text)), _accelerator)
    return found(Path(where).stem, text, where)


def _keys(text: str) -> set[str]:
    """Keys of a TOML file; none of a text that is no TOML, which the reader of accelerators tells in full."""
    from addersim.config import toml_values

    try:
        return set(toml_values(text, ""))
    except ConfigError:
        return set()


def _sweep(name: str, text: str, where: str) -> dict[str, Any]:
    from addersim.config import parse_toml
    from addersim.exploration.sweeps.plan import make_plan
    from addersim.exploration.sweeps.study import Study
    from addersim.exploration.sweeps.training import count_trained

    study = parse_toml(text, Study, where)
    if study.training is None:
        return {"holds": "sweep", "name": name, "size": how_many(len(make_plan(study).points), "points")}
    return {"holds": "sweep that trains", "name": name, "size": how_many(count_trained(study), "networks")}


def _study(name: str, text: str, where: str) -> dict[str, Any]:
    from importlib.util import find_spec

    from addersim.config import parse_toml

    if find_spec("torch") is None:
        raise ConfigError(f"{where}: is a training study, which needs torch; install it with: pip install 'addersim[train]'")
    from addersim.train.recipe import Recipe

    found = parse_toml(text, Recipe, where)
    return {"holds": "training study", "name": name, "size": how_many(found.epochs, "epochs")}


def _rules(name: str, text: str, where: str) -> dict[str, Any]:
    from addersim.config import parse_toml
    from addersim.quantization.rules import Quantization

    layers = parse_toml(text, Quantization, where).layers
    return {"holds": "rules of quantisation", "name": name, "size": how_many(len(layers), "layers")}


def _multiplier(name: str, text: str, where: str) -> dict[str, Any]:
    from addersim.arithmetic.multiplier_files import load_multiplier

    found = load_multiplier(where)
    return {"holds": "multiplier", "name": found.price.name, "size": "256 x 256"}


def _accelerator(name: str, text: str, where: str) -> dict[str, Any]:
    from addersim.hardware.load import parse_accelerator

    found = parse_accelerator(text, where)
    return {"holds": "accelerator", "name": found.name, "size": f"{found.array.rows} x {found.array.columns}"}


def _table(name: str, text: str, where: str) -> dict[str, Any]:
    from addersim.hardware.prices.csv_file import parse_table
    from addersim.hardware.prices.soundness import check_sizes

    found = parse_table(text, name, where)
    check_sizes(found, where)
    return {"holds": "energy table", "name": found.name, "size": how_many(len(found.rows), "rows")}


_KINDS = {
    **dict.fromkeys(("networks", "training"), _sweep),
    "architecture": _study,
    "products": _multiplier,
    "array": _accelerator,
    **dict.fromkeys(("weight_bits", "activation_bits", "layers", "accumulator", "ends_bits", "circuit"), _rules),
}
"""What checks a TOML file, by a key that no other kind has; a file without any of them is taken for an accelerator."""
