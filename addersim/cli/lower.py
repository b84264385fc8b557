"""addersim lower: a torch network becomes a file of plain arrays."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from addersim.cli import options
from addersim.cli.output import alone_on_output, print_json, print_table, say
from addersim.cli.own_network import own_network
from addersim.errors import LoweringError
from addersim.inputs.limits import IMAGE_SIDE, read_number, shown
from addersim.inputs.opening import STANDARD
from addersim.inputs.text import printable

if TYPE_CHECKING:
    from addersim.network import Network
    from addersim.program import Program


def run(
    source: Annotated[
        str,
        typer.Argument(
            help="An ONNX (-: standard input) or TFLite file, an architecture (addersim list architectures), "
            "PACKAGE.MODULE:CALLABLE, or FILE.py:CALLABLE."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write, .npz; - is standard output.")],
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="FILE[::KEY]", help="Checkpoint of plain tensors, .pth/.pt or .safetensors; KEY where several fit: ::ema."
        ),
    ] = None,
    prefix: Annotated[
        str, typer.Option(help="Of the weights' names in the checkpoint, such as backbone.; others are left.")
    ] = "",
    input_shape: Annotated[
        str | None,
        typer.Option(
            help="CHANNELS,HEIGHT,WIDTH, or CHANNELS,LENGTH, or FEATURES; known for architectures and most ONNX files."
        ),
    ] = None,
    mean: Annotated[
        str | None,
        typer.Option(help="Mean of pixel/255, as in training: one a channel, or one for all; 0 with --std 1 leaves it so."),
    ] = None,
    std: Annotated[str | None, typer.Option(help="Standard deviation, as in training: one a channel, or one for all.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the network.")] = None,
    adder: Annotated[
        list[str] | None, typer.Option(help="Class of yours that is an adder layer, -sum |x - f|; repeatable.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check/--no-check", help="Run source and network on the same images; they must agree.")
    ] = True,
    countable: Annotated[
        bool, typer.Option("--countable", help="Keep operations that have no layer, to count around them.")
    ] = False,
    channels_first: Annotated[
        bool, typer.Option("--channels-first", help="Take images with channels first where an ONNX file has them last.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Translate a network to one .npz of plain arrays: an ONNX or TFLite file (extras onnx, tflite), or a torch network.

    PACKAGE.MODULE:CALLABLE and FILE.py:CALLABLE are your own code: it is imported and called without arguments to build the
    network. ONNX and TFLite files are only read; the latter become programs, quantised as they are.
    """
    from addersim.frontends.proof import PROOF
    from addersim.program import Program

    how = {"mean": _numbers("--mean", mean), "std": _numbers("--std", std), "check": check, "countable": countable}
    if source.lower().endswith(".tflite"):
        _read_codes(source, output, name, countable=countable, json=json, others=[weights, input_shape, mean, std, adder])
        return
    if source == STANDARD or source.lower().endswith(".onnx"):
        if weights or adder:
            raise LoweringError(f"{source}: --weights and --adder are for torch networks; an ONNX file holds its own")
        network: Network | Program = _from_onnx(source, input_shape, name, how | {"channels_first": channels_first})
    else:
        if channels_first:
            raise LoweringError(f"{source}: --channels-first is for ONNX files; torch networks take channels first")
        network = _from_torch(source, weights, prefix, input_shape, name, how | {"adders": adder or ()})
    if isinstance(network, Program):
        _write_program(network, output, json=json)
        return
    alone = alone_on_output(output, json=json)
    network.save(output)
    if alone:
        return
    if json:
        print_json(
            {"network": network.name, "file": str(output), "input_shape": network.input_shape, "layers": network.table()}
            | {"preprocessing": str(network.preprocessing), "totals": network.totals().to_dict()}
            | {"proof": network.metadata[PROOF]}
        )
    else:
        print_table(f"{network.name} -> {output}", network.table())
        say(str(network.totals()))
        say(f"preprocessing of images: {network.preprocessing}")
        say(f"beside its source: {network.metadata[PROOF]}")


def _read_codes(source: str, output: Path, name: str | None, *, countable: bool, json: bool, others: Sequence[object]) -> None:
    """A file of codes is a program already, and says all that options could."""
    from addersim.frontends.tflite import lower_tflite

    if any(others):
        raise LoweringError(f"{source}: a TFLite file holds its weights and formats; only --name and --countable are for it")
    _write_program(lower_tflite(source, name=name, countable=countable), output, json=json)


def _write_program(program: Program, output: Path, *, json: bool) -> None:
    alone = alone_on_output(output, json=json)
    program.save(output)
    if json and not alone:
        about = {"program": program.name, "file": str(output), "input_shape": program.input_shape}
        print_json(about | {"layers": program.table()})
    elif not alone:
        print_table(f"{program.name} -> {output}", program.table())


def _from_onnx(source: str, input_shape: str | None, name: str | None, how: Mapping[str, Any]) -> Network | Program:
    from addersim.frontends.onnx import lower_onnx

    return lower_onnx(source, _shape(input_shape) if input_shape else None, name=name, **how)


def _from_torch(
    source: str, weights: str | None, prefix: str, input_shape: str | None, name: str | None, how: Mapping[str, Any]
) -> Network | Program:
    try:
        import torch  # noqa: F401
    except ImportError:
        raise LoweringError("lowering needs torch; install it with: pip install 'addersim[train]'") from None
    from addersim.frontends.torch.lower import lower

    module, shape = _build(source, input_shape)
    metadata = {"origin": f"{source}, weights {_load(module, weights, prefix) if weights else 'untrained'}"}
    found: Network | Program = lower(
        module, shape, name=name or (source if ":" not in source else None), metadata=metadata, **how
    )
    return found


def _load(module: Any, weights: str, prefix: str) -> str:
    """Give a module the weights of FILE or FILE::KEY; where they came from."""
    from addersim.train.state_dicts import load_checkpoint

    file, mark, key = weights.rpartition("::")
    path, chosen = (Path(weights), None) if not mark or Path(weights).exists() else (Path(file), key)
    found, counters = load_checkpoint(module, path, chosen, prefix)
    if counters:
        more = f" and {len(counters) - 1} more" if len(counters) > 1 else ""
        note = f"{path}: counters left out: {counters[0]}{more}"
        print(printable(note), file=sys.stderr)
    return path.name + (f"::{found}" if found else "")


def _build(source: str, input_shape: str | None) -> tuple[Any, tuple[int, ...]]:
    from addersim.model_zoo import foreign
    from addersim.train.models import ARCHITECTURES, build

    if advice := None if ":" in source else foreign(source):
        raise LoweringError(f"{source}: {advice}")
    if ":" not in source and not source.endswith(".py"):
        wanted = _shape(input_shape) if input_shape else None
        return build(source, input_shape=wanted, seed=0), wanted or ARCHITECTURES[source].input_shape
    if not input_shape:
        raise LoweringError(f"{source}: --input-shape CHANNELS,HEIGHT,WIDTH is needed for a network of your own")
    shape = _shape(input_shape)
    return own_network(source), shape


def _shape(text: str) -> tuple[int, ...]:
    parts = text.replace("x", ",").split(",")
    where = f"--input-shape {shown(text)}"
    if len(parts) > 3:
        raise LoweringError(f"{where}: expected CHANNELS,HEIGHT,WIDTH, such as 3,32,32; or CHANNELS,LENGTH; or FEATURES")
    return tuple(IMAGE_SIDE.read(part, where) for part in parts)


def _numbers(option: str, text: str | None) -> list[float] | None:
    return None if text is None else [read_number(part, f"{option} {shown(text)}") for part in text.split(",")]
