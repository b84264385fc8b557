"""Options that several verbs share, and what they mean."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from addersim.cli.complete import completes
from addersim.errors import ConfigError, FormatError
from addersim.inputs import limits
from addersim.inputs.limits import BATCH, BITS, DEPTH, ELEMENTS, IMAGES, THREADS, read_number, repeated, shown

if TYPE_CHECKING:
    from addersim.arithmetic.multiplier import MultiplierTable
    from addersim.frontends.scalesim.topology import Topology
    from addersim.network import Network
    from addersim.program import Program
    from addersim.quantization.rules import Quantization
    from addersim.trace import Trace


TWIN = ", the twin"
"""What follows a network's name where its twin is meant; no file can be asked for so by chance."""


def whole(limit: limits.Limit, *names: str, **how: Any) -> Any:
    """An option that takes a whole number within a limit."""
    return typer.Option(*names, parser=_parser(limit.read), metavar=limit.range, **how)


def number(*names: str, **how: Any) -> Any:
    """An option that takes a number."""
    return typer.Option(*names, parser=_parser(read_number), metavar="NUMBER", **how)


def _parser(read: Callable[[str, str], Any]) -> Callable[[Any], Any]:
    """Reads an option's text, with what is needed as the error; a default is a number already."""

    def parse(text: Any) -> Any:
        try:
            return read(text, "") if isinstance(text, str) else text
        except ConfigError as error:
            raise typer.BadParameter(str(error).rpartition(", ")[2]) from None

    return parse


Network_ = Annotated[
    str,
    typer.Argument(
        metavar="NETWORK",
        help="A bundled name (addersim list networks), a saved, ONNX or TFLite file (-: standard input), or an architecture.",
        autocompletion=completes("networks", "architectures"),
    ),
]
Countable = Annotated[
    str,
    typer.Argument(
        metavar="NETWORK",
        help="A bundled name, a saved, ONNX or TFLite file (-: standard input), an architecture, or SCALE-Sim's topology.",
        autocompletion=completes("networks", "architectures"),
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Data = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="SET|FILE|FOLDER",
        help="Image set (addersim list data); or your own .npz (images, labels), .npy, .parquet, .csv, or folder of pictures, "
        "a folder a class (docs/commands.md: Own images). A set's name goes before a folder's: ./NAME.",
        show_default="fashion-mnist-2000, where the network takes it",
        autocompletion=completes("data"),
    ),
]
Resize = Annotated[
    bool,
    typer.Option(
        "--resize", help="Scale pictures of another size by their shorter side and cut them to the centre; else refused."
    ),
]
Root = Annotated[Path | None, typer.Option("--root", help="Folder of the image set's official files.")]
Limit = Annotated[int | None, whole(IMAGES, "--limit", help="Simulate only this number of test images, from the first on.")]
Bits = Annotated[int | None, whole(BITS, "--bits", help="Width of weights and activations; 8 by default.")]
WeightBits = Annotated[int | None, whole(BITS, "--weight-bits", help="Width of weights, where it differs.")]
ActivationBits = Annotated[int | None, whole(BITS, "--activation-bits", help="Width of activations, where it differs.")]
LayerBits = Annotated[
    list[str] | None, typer.Option("--layer", metavar="NAME=W/A", help="Weight and activation bits of one layer; repeatable.")
]
Ends = Annotated[
    int | None,
    whole(
        BITS,
        "--ends",
        help="Width of the first and last layer with weights, such as 8; what a layer is given goes first.",
    ),
]
AccumulatorText = Annotated[
    str | None, typer.Option("--accumulator", help="exact (default), or BITS:exact, BITS:saturate, BITS:wrap; 8..48 bits.")
]
Datapath = Annotated[
    list[str] | None,
    typer.Option(
        "--datapath",
        autocompletion=completes("datapaths"),
        help="Datapath of an arithmetic's layers (addersim list datapaths), in short 2a (default), 1c1a or xor for adder "
        "layers; several with commas. A SCALE-Sim topology takes one for all layers: mac by default.",
    ),
]
Twin = Annotated[
    bool,
    typer.Option(
        "--twin",
        help="Each network also with the other arithmetic, additions or multiplications: counted, for nobody trained it.",
    ),
]
Multiplier = Annotated[
    list[str] | None,
    typer.Option(
        "--multiplier",
        metavar="[LAYER=]FILE",
        help="Products of all multiplying layers, or of one, from a table of 256 x 256: .npy, .npz, .csv, raw numbers, or a "
        "TOML file that names one and states its energy; repeatable.",
    ),
]
Circuit = Annotated[list[str] | None, typer.Option("--circuit", hidden=True, help="Former name of --datapath.")]
ZeroPoints = Annotated[bool | None, typer.Option(help="Give signed activations zero points where all layers take them.")]
ClipWeights = Annotated[bool | None, typer.Option(help="Clip adder weights to their input's range, exactly (default: yes).")]
Calibration = Annotated[
    str | None, typer.Option("--calibration", help="How scales are chosen: mse (default), percentile, min-max, output.")
]
WeightRounding = Annotated[
    str | None,
    typer.Option(help="Weights of mac layers: each to the nearest code (default), or output: by the error of the sums."),
]
Rounding = Annotated[
    str | None,
    typer.Option(
        "--rounding",
        metavar="NAME",
        help="Rule by which sums become codes, in place of the program's own: addersim, tflite, tosa, ort, qonnx, ...",
    ),
]
Correction = Annotated[
    str | None,
    typer.Option("--correction", help="Keep each channel's float statistics: mean-variance (default), mean, none."),
]
Rules = Annotated[
    Path | None,
    typer.Option(
        "--rules", "--formats", help="TOML file of quantisation rules (a search writes one); other options override it."
    ),
]
AcceleratorName = Annotated[
    str,
    typer.Option(
        "--accelerator",
        help="A bundled accelerator, a TOML file, or SCALE-Sim's .cfg file.",
        autocompletion=completes("accelerators"),
    ),
]
Table = Annotated[
    str, typer.Option("--table", help="A bundled energy table, or a CSV file.", autocompletion=completes("tables"))
]
Tables = Annotated[
    str,
    typer.Option(
        "--table",
        help="A bundled energy table, or a CSV file; all: the range over every bundled table.",
        autocompletion=completes("tables"),
    ),
]
NodeNm = Annotated[
    float | None,
    number("--node", help="Move the energy table to a node, in nm, by Stillmaker and Baas.", show_default="the table's"),
]
AreaBudget = Annotated[
    float | None,
    number("--area-budget", help="The best array (--size-for) that fits this many mm2, with memories and vector unit."),
]
Elements = Annotated[
    int | None, whole(ELEMENTS, "--pes", help="The best array (--size-for) of exactly N processing elements: 61 is 1 x 61.")
]
Throughput = Annotated[
    float | None, number("--throughput", help="The smallest array, of any shape, that runs at this rate, in images/s.")
]
SizeFor = Annotated[
    str,
    typer.Option(
        "--size-for",
        metavar="latency|energy|energy-delay",
        help="What the best array of --area-budget or --pes has least of.",
    ),
]
OwnClock = Annotated[
    bool,
    typer.Option("--own-clock", help="Each design at the clock of its slowest element, by the energy table's delays."),
]
AreaTable = Annotated[str, typer.Option(help="Energy table that gives the areas.")]
Depth = Annotated[
    int | None, whole(DEPTH, "--depth", help="Parts of the layers' names that are told apart: layers of a module in one row.")
]
Top = Annotated[
    int | None, whole(DEPTH, "--top", help="Only this number of rows, those that weigh most, and the rest in one.")
]
Figures = Annotated[
    Path | None,
    typer.Option(
        "--figures", metavar="DIR", help="Also write each figure of the page as SVG and PNG here (extra figures, Chromium)."
    ),
]
Batch = Annotated[int | None, whole(BATCH, "--batch", help="Images that run as one batch.", show_default="the accelerator's")]
Threads = Annotated[int | None, whole(THREADS, "--threads", help="Threads; changes no result.")]
Device = Annotated[str | None, typer.Option(help="cpu or cuda; by default cuda where torch finds a GPU.")]


def quantization(
    bits: int | None = None,
    weight_bits: int | None = None,
    activation_bits: int | None = None,
    layers: list[str] | None = None,
    accumulator: str | None = None,
    rules: Path | None = None,
    **others: Any,
) -> Quantization:
    """Quantisation rules from a file and options; what is None keeps the file's value or the default."""
    import msgspec

    from addersim.arithmetic.fixed import Accumulator
    from addersim.config import load_toml, make_record
    from addersim.quantization.rules import Quantization

    found: dict[str, Any] = msgspec.to_builtins(load_toml(rules, Quantization)) if rules else {}
    weights, activations = (bits if one is None else one for one in (weight_bits, activation_bits))
    given = {"weight_bits": weights, "activation_bits": activations, **others}
    found |= {key: value for key, value in given.items() if value is not None}
    named = [_layer(text) for text in layers or []]
    if twice := repeated([name for name, _ in named]):
        raise ConfigError(f"--layer: found {shown(twice[0])} twice; give each layer once")
    found["layers"] = found.get("layers", {}) | dict(named)
    if accumulator is not None:
        found["accumulator"] = msgspec.to_builtins(Accumulator.parse(accumulator))
    return make_record(found, Quantization, "options")


def training_device(name: str | None, threads: int | None) -> str:
    """Where to train, and by how many threads on the CPU. Raises ConfigError."""
    import torch

    if threads:
        torch.set_num_threads(threads)
    if name not in (None, "cpu", "cuda"):
        raise ConfigError(f"--device {name!r} is not one of cpu, cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device cuda: torch finds no CUDA device; it finds cpu")
    return name or ("cuda" if torch.cuda.is_available() else "cpu")


def datapaths(*given: list[str] | None) -> tuple[str, ...]:
    """Full names of the datapaths that options name, one an arithmetic. Raises ConfigError."""
    from addersim.arithmetic.datapaths import DATAPATHS, datapath

    found: dict[str, str] = {}
    for text in (part.strip() for texts in given for one in texts or () for part in one.split(",")):
        try:
            name = datapath(text).name
        except FormatError as error:
            raise ConfigError(f"--datapath: {error}") from None
        arithmetic = DATAPATHS[name].arithmetic.name
        if found.setdefault(arithmetic, name) != name:
            raise ConfigError(f"--datapath: found {found[arithmetic]} and {name}, which both compute {arithmetic}; give one")
    return tuple(found.values())


def runs_in_turn(network: Network | Program | Topology, chosen: Sequence[str], twin: bool = False) -> list[str]:
    """Datapaths on which all layers run, one after the other: several for a topology; for a network those of its layers."""
    from addersim.arithmetic.datapaths import DATAPATHS
    from addersim.frontends.scalesim.topology import Topology

    if not isinstance(network, Topology):
        return [""]
    found = list(chosen) or ["mac"]
    if twin and len(found) == 1:
        found.append("l1-2a" if DATAPATHS[found[0]].arithmetic.linear else "mac")
    return found if len(found) > 1 else [""]


def with_twins(loaded: Mapping[str, Network | Program | Topology]) -> dict[str, Network | Program | Topology]:
    """Networks, each followed by its twin, which is named after it. Raises ConfigError for a program."""
    from addersim.network import Network
    from addersim.program import Program
    from addersim.twins import twin

    found: dict[str, Network | Program | Topology] = {}
    for name, one in loaded.items():
        found[name] = one
        if isinstance(one, Program):
            raise ConfigError(f"--twin: {one.name} is quantised already; a twin is made of a float network")
        if isinstance(one, Network):
            found[f"{name}{TWIN}"] = twin(one)
    return found


def check_figures(folder: Path | None) -> None:
    """Refuse figures that could not be drawn, before anything runs."""
    if folder is not None:
        from addersim.report.images import check_drawable

        check_drawable()


def check_quantised(network: Network | Program | Topology, rules: Quantization) -> None:
    """Refuse rules for a program, which has its formats: they would change nothing, and seem to."""
    import msgspec

    from addersim.program import Program
    from addersim.quantization.rules import Quantization

    default = Quantization()
    if isinstance(network, Program) and msgspec.structs.replace(rules, circuit=default.circuit) != default:
        raise ConfigError(
            f"{network.name}: is quantised already, and keeps its formats; leave out the options of quantisation"
        )


def check_computed(chosen: Sequence[str], networks: Iterable[Network | Program], rules: Quantization) -> None:
    """As `check_used`, from the shapes of networks that are yet to be simulated."""
    if chosen:
        check_used(chosen, [counts(network, rules) for network in networks])


def multipliers(given: list[str] | None) -> dict[str, MultiplierTable]:
    """Tables by layer, that of all layers first and under an empty name. Raises ConfigError."""
    from addersim.arithmetic.multiplier_files import load_multiplier

    found: dict[str, MultiplierTable] = {}
    for text in given or ():
        layer, equals, path = ("", "", text) if os.path.lexists(text) else text.partition("=")
        layer, path = (layer, path) if equals else ("", text)
        if layer in found:
            raise ConfigError(f"--multiplier: given twice for {f'layer {layer}' if layer else 'all layers'}; give one table")
        found[layer] = load_multiplier(path)
    return dict(sorted(found.items()))


def with_multipliers(program: Program, chosen: Mapping[str, MultiplierTable]) -> Program:
    """A program whose layers multiply as options say."""
    for layer, table in chosen.items():
        program = program.with_multiplier(table, [layer] if layer else None)
    return program


def counts(
    network: Network | Program,
    rules: Quantization,
    convention: str = "hardware",
    multipliers: Mapping[str, MultiplierTable] = MappingProxyType({}),
) -> Trace:
    """Facts of a network, which the rules quantise, or of a program, from shapes alone."""
    from addersim.network import Network
    from addersim.quantization.pipeline import quantize
    from addersim.simulation import count

    program = quantize(network, None, rules) if isinstance(network, Network) else network
    return count(with_multipliers(program, multipliers), convention)


def check_used(chosen: Sequence[str], traces: Iterable[Trace]) -> None:
    """Refuse a datapath that no layer could run on: it would change nothing, and seem to."""
    from addersim.arithmetic.datapaths import DATAPATHS

    runs_on = sorted({name for trace in traces for name in trace.taps_by_datapath()})
    computed = {DATAPATHS[name].arithmetic for name in runs_on}
    if idle := [name for name in chosen if DATAPATHS[name].arithmetic not in computed]:
        raise ConfigError(f"--datapath: found {idle[0]}, which no layer computes; the layers run on {', '.join(runs_on)}")


def adder_circuit(chosen: Sequence[str]) -> str | None:
    """What the rules call the datapath of adder layers; None where none was chosen."""
    from addersim.arithmetic.datapaths import adder_circuits

    return next(iter(adder_circuits(chosen)), None)


def _layer(text: str) -> tuple[str, dict[str, int]]:
    name, _, widths = text.rpartition("=")
    weight, _, activation = widths.partition("/")
    if not (name and weight and activation):
        raise ConfigError(f"--layer {shown(text)}: expected NAME=WEIGHT_BITS/ACTIVATION_BITS, such as conv1=8/8")
    given = {"weight_bits": weight, "activation_bits": activation}
    return name, {key: BITS.read(bits, f"--layer {shown(text)}") for key, bits in given.items()}
