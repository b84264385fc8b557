"""addersim list: what the package knows."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated, Any

import typer

from addersim.cli import options
from addersim.cli.complete import completes_from, names_of_its_kind
from addersim.cli.output import print_json, print_table, say
from addersim.config import bundled_names, resolve_text
from addersim.errors import ConfigError
from addersim.format_quantity import how_many
from addersim.inputs.text import did_you_mean


def run(
    what: Annotated[
        str | None,
        typer.Argument(help="One of these kinds; all by default.", autocompletion=completes_from(lambda: KINDS)),
    ] = None,
    name: Annotated[str | None, typer.Argument(help="One of them alone.", autocompletion=names_of_its_kind)] = None,
    toml: Annotated[
        bool, typer.Option("--toml", help="Print the file of an accelerator, a sweep or a table, to begin one's own with.")
    ] = False,
    json: options.Json = False,
) -> None:
    """List networks, architectures, arithmetics, data, accelerators, tables, sweeps, studies, datapaths, layers, kernels."""
    kinds = KINDS if what is None else {what: KINDS[what]} if what in KINDS else {}
    if not kinds:
        raise ConfigError(f"list {what!r}: not one of {', '.join(KINDS)}{did_you_mean(str(what), KINDS)}")
    if toml:
        if what not in _FILES or name is None:
            raise ConfigError(f"--toml: prints the file of one name; needs a kind of {', '.join(_FILES)} and a name of it")
        print(resolve_text(_known(what, name, KINDS[what]()), *_FILES[what], what)[2], end="")
        return
    found = {kind: rows() for kind, rows in kinds.items()}
    if what is not None and name is not None:
        known = _known(what, name, found[what])
        found = {what: [row for row in found[what] if row[_first(row)] == known]}
    if json:
        print_json(found)
        return
    for place, (kind, rows) in enumerate(found.items()):
        if place:
            say()
        if rows:
            print_table(kind, rows)
        else:
            say(f"{kind}: none (torch is not installed)")


_FILES = {"accelerators": ("accelerators", ".toml"), "tables": ("energy", ".csv"), "sweeps": ("sweeps", ".toml"),
          "studies": ("studies", ".toml")}  # fmt: skip
"""Folders of data files, and how these end."""


def _known(kind: str, name: str, rows: list[dict[str, Any]]) -> str:
    """A name of a list. Raises ConfigError."""
    names = [str(row[_first(row)]) for row in rows]
    if name not in names:
        raise ConfigError(f"list {kind} {name!r}: not one of {', '.join(names[:20])}{did_you_mean(name, names)}")
    return name


def _first(row: dict[str, Any]) -> str:
    """The column that names what a row is of."""
    return "name" if "name" in row else "operator"


def _networks() -> list[dict[str, Any]]:
    from addersim.model_zoo import bundled_networks, load_network

    rows = []
    for name in bundled_networks():
        network = load_network(name)
        rows.append(
            {"name": name, "input": " x ".join(map(str, network.input_shape)), "about": network.metadata.get("origin", "")}
        )
    return rows


def _architectures() -> list[dict[str, Any]]:
    from addersim.model_zoo import architectures

    end = "-conv"
    return [
        {
            "name": one.name.removesuffix(end),
            "input": " x ".join(map(str, one.input_shape)),
            "classes": one.classes,
            "about": one.about,
        }
        for one in architectures().values()
        if one.name.endswith(end)
    ]


def _arithmetics() -> list[dict[str, Any]]:
    if find_spec("torch") is None:
        return []
    from addersim.train.architectures.layers import ARITHMETICS

    return [{"name": f"ARCHITECTURE-{name}", "computes": computes} for name, computes in ARITHMETICS.items()]


def _data() -> list[dict[str, Any]]:
    from addersim.datasets.registry import DATASETS

    return [
        {
            "name": one.name,
            "images": " + ".join(f"{number:,} {split}" for split, number in one.counts.items()),
            "shape": " x ".join(map(str, one.shape)),
            "from": one.source,
        }
        for one in DATASETS.values()
    ]


def _accelerators() -> list[dict[str, Any]]:
    from addersim.hardware.load import accelerator_names, load_accelerator

    return [{"name": name, "about": load_accelerator(name).about} for name in accelerator_names()]


def _tables() -> list[dict[str, Any]]:
    from addersim.hardware.prices.csv_file import load_table, table_names

    rows = []
    for name in table_names():
        found = load_table(name).rows
        said = {key: dict.fromkeys(getattr(row, key) for row in found if getattr(row, key)) for key in _CIRCUMSTANCES}
        contents = dict.fromkeys(one for row in found for one in row.contains)
        rows.append(
            {"name": name, "rows": len(found)}
            | {
                label: " ".join(f"{one:g}" if isinstance(one, float) else one for one in said[key])
                for key, label in _CIRCUMSTANCES.items()
            }
            | {"contains": " + ".join(contents), "main source": found[0].source}
        )
    return rows


_CIRCUMSTANCES = {
    "node_nm": "node nm",
    "voltage_v": "voltage V",
    "device": "device",
    "temperature_k": "temperature K",
    "corner": "corner",
}


def _sweeps() -> list[dict[str, Any]]:
    from addersim.exploration.sweeps.study import load_study, study_names

    return [{"name": name, "about": load_study(name).about} for name in study_names()]


def _studies() -> list[dict[str, Any]]:
    """Training studies; their files are read as they are, for their own reader needs torch."""
    import tomllib

    found = {
        name: tomllib.loads(resolve_text(name, *_FILES["studies"], "study")[2]) for name in bundled_names(*_FILES["studies"])
    }
    return [
        {"name": name, "about": f"{one['architecture']} on {one['data']}, {how_many(one['epochs'], 'epochs')}"}
        for name, one in found.items()
    ]


def _datapaths() -> list[dict[str, Any]]:
    from addersim.arithmetic.datapaths import DATAPATHS

    return [{"name": one.name, "arithmetic": one.arithmetic.name, "about": one.about} for one in DATAPATHS.values()]


def _layers() -> list[dict[str, Any]]:
    from addersim.frontends.onnx.operators import OPERATORS as ONNX
    from addersim.frontends.tflite.operators import OPERATORS as TFLITE

    tables = {"ONNX": ONNX, "TFLite": TFLITE}
    rows = [{"source": source, "operator": name} for source, table in tables.items() for name in sorted(table)]
    if find_spec("torch") is None:
        return rows
    from addersim.frontends.torch.aten import OPERATORS as ATEN

    return rows + [{"source": "torch", "operator": f"aten.{name}"} for name in sorted(ATEN)]


def _kernels() -> list[dict[str, Any]]:
    from addersim.kernels import kernel_info

    info = kernel_info()
    return [
        {"name": name, "in use": "yes" if name == info.instruction_set else "", "threads": info.threads}
        for name in info.available
    ]


KINDS = {
    "networks": _networks,
    "architectures": _architectures,
    "arithmetics": _arithmetics,
    "data": _data,
    "accelerators": _accelerators,
    "tables": _tables,
    "sweeps": _sweeps,
    "studies": _studies,
    "datapaths": _datapaths,
    "layers": _layers,
    "kernels": _kernels,
}
