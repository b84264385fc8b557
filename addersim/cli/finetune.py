"""addersim finetune: train a network on its own fixed-point datapath."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from addersim.cli import options
from addersim.cli.output import alone_on_output, print_json, print_table, progress, say, say_file, say_page
from addersim.cli.verbosity import LOGGER
from addersim.errors import ConfigError
from addersim.format_quantity import how_many
from addersim.inputs.limits import EPOCHS, IMAGES, SEED, TRAINING_BATCH
from addersim.processes.stopping import told_what_is_kept
from addersim.tabular import percent

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from addersim.datasets.own import FoundImages
    from addersim.datasets.records import Images
    from addersim.network import Network
    from addersim.program import Program
    from addersim.quantization.rules import Quantization
    from addersim.train.qat import Epoch


def run(
    network: options.Network_,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The trained program, a .npz that simulate, count and report take.")
    ],
    save_network: Annotated[Path | None, typer.Option(help="Also save its numbers as a float network to this .npz.")] = None,
    page: Annotated[
        Path | None,
        typer.Option("--page", metavar="DIR", help="Folder of the page and its tables.", show_default="PROGRAM-page"),
    ] = None,
    data: options.Data = None,
    root: options.Root = None,
    resize: options.Resize = False,
    images: Annotated[
        int | None, options.whole(IMAGES, "--images", help="Training images, from the first on; all by default.")
    ] = None,
    epochs: Annotated[int, options.whole(EPOCHS, "--epochs", help="Passes over the training images.")] = 3,
    rate: Annotated[
        float, options.number("--rate", help="First step of a weight, as a share of the largest that its codec holds.")
    ] = 1e-3,
    batch: Annotated[int, options.whole(TRAINING_BATCH, "--batch", help="Images in a step.")] = 128,
    seed: Annotated[int, options.whole(SEED, "--seed", help="Of the order of images.")] = 0,
    optimizer: Annotated[
        str, typer.Option(help="adam; or sgd, with momentum and, for adder filters, their method's rate.", metavar="adam|sgd")
    ] = "adam",
    distill: Annotated[
        float, options.number("--distill", help="Share of the loss that the float network's scores have, 0..1.")
    ] = 0.0,
    augment: Annotated[
        str, typer.Option(help="crop-flip: crop at random, mirror every other image.", metavar="none|crop-flip")
    ] = "none",
    bits: options.Bits = None,
    weight_bits: options.WeightBits = None,
    activation_bits: options.ActivationBits = None,
    layer: options.LayerBits = None,
    ends: options.Ends = None,
    accumulator: options.AccumulatorText = None,
    rules: options.Rules = None,
    device: options.Device = None,
    threads: options.Threads = None,
    figures: options.Figures = None,
    json: options.Json = False,
) -> None:
    """Train a network for its bit widths, on the simulator's own codes (needs torch); the file holds the last whole epoch."""
    if find_spec("torch") is None:
        raise ConfigError("training needs torch; install with: pip install 'addersim[train]'")
    if alone_on_output(output, save_network):
        raise ConfigError("--output -: a program is written after every epoch; name a file")
    options.check_figures(figures)
    page = page or output.parent / f"{output.stem}-page"
    from addersim.datasets.find import find_images
    from addersim.model_zoo import load_network
    from addersim.processes.result_folders import held
    from addersim.storage import check_writable

    chosen = options.training_device(device, threads)
    how = options.quantization(bits, weight_bits, activation_bits, layer, accumulator, rules, ends_bits=ends)
    floats = load_network(network)
    _ = floats.outputs  # a network without scores is refused before images are read
    found = _labelled(find_images(data, root, floats, "train", images, resize))
    test = _labelled(find_images(data, root, floats, "test", None, resize))
    for path in filter(None, (output, save_network, page)):
        check_writable(path)
    learning = {"epochs": epochs, "rate": rate, "batch": batch, "seed": seed, "optimizer": optimizer, "distill": distill}
    learning["augment"] = augment
    in_float = _accuracy(floats, test)
    about = {
        "training images": how_many(len(found), "images") + f" of {found.name}",
        "images held out": how_many(len(test), "images") + f" of {test.name}",
        **{name: str(value) for name, value in learning.items()},
        "weights, activations": f"{how.weight_bits} and {how.activation_bits} bits",
    }
    with held(page, "finetuning"):
        before, after, rows = _train(floats, found, test, how, (output, save_network), device=chosen, **learning)
        written = _page(page, (before, after), rows, in_float, about, figures)
    if json:
        print_json(
            {"network": floats.name, "data": test.name, "program": str(output), "page": str(written)}
            | {"accuracy_float": in_float, "epochs": rows}
        )
        return
    print_table(floats.name, [_shown(row) for row in rows])
    say()
    say(f"weights of {how.weight_bits} bits, activations of {how.activation_bits}")
    say(f"float {percent(in_float)}")
    say_file("program", output)
    say_page(written, figures)


def _train(
    network: Network, images: Images, test: Images, how: Quantization, files: tuple[Path, Path | None], **options: Any
) -> tuple[Program, Program, list[dict[str, Any]]]:
    """The program before and after, and a row an epoch from 0, quantisation alone, on; files hold the last epoch."""
    import numpy as np

    from addersim.datasets.find import CALIBRATION_IMAGES
    from addersim.quantization.pipeline import quantize
    from addersim.train.qat import finetune

    start = quantize(network, images.pixels[:CALIBRATION_IMAGES], how)
    rows: list[dict[str, Any]] = [{"epoch": 0, "loss": None, "accuracy": None, "test_accuracy": _accuracy(start, test)}]

    def keep(epoch: Epoch) -> None:
        epoch.program.save(files[0])
        if files[1]:
            epoch.network.save(files[1])
        trained = {"epoch": epoch.number, "loss": epoch.loss, "accuracy": epoch.accuracy}
        rows.append(trained | {"test_accuracy": _accuracy(epoch.program, test)})

    def kept() -> str:
        done = len(rows) - 1
        return f", {files[0]} holds epoch {done} of {options['epochs']}" if done else " in its first epoch, nothing is written"

    steps = options["epochs"] * (len(images) // options["batch"])
    with told_what_is_kept(kept), progress(steps, f"training {network.name}") as advance:
        _, trained = finetune(
            network,
            np.asarray(images.pixels),
            cast("npt.NDArray[np.integer[Any]]", images.labels),
            how,
            progress=lambda done, _of, _loss: advance(done),
            each_epoch=keep,
            **options,
        )
    return start, trained, rows


def _page(
    folder: Path,
    programs: tuple[Program, Program],
    rows: Sequence[Mapping[str, Any]],
    accuracy_float: float,
    about: Mapping[str, str],
    figures: Path | None,
) -> Path:
    from addersim import __version__
    from addersim.report.training_page import Finetuned, write_finetuning_page

    kept = {"epoch": "epoch", "loss": "train_loss", "accuracy": "train_accuracy", "test_accuracy": "test_accuracy"}
    history = [{name: row[key] for key, name in kept.items() if row[key] is not None} for row in rows]
    tables = [{row["layer"]: row for row in one.table()} for one in programs]
    formats = [
        {"layer": name, "kind": row["kind"], "weights": row["weights"]}
        | {"before": tables[0].get(name, {"output": ""})["output"], "after": row["output"]}
        for name, row in tables[1].items()
    ]
    found = Finetuned(programs[1].name, history, accuracy_float, formats)
    return write_finetuning_page(folder, found, {**about, "made by": f"addersim {__version__}"}, figures)


def _labelled(found: FoundImages) -> Images:
    """Images that can be learned from and judged by; what was amiss with them is told."""
    for warning in found.warnings:
        LOGGER.warning(warning)
    if found.images.labels is None:
        raise ConfigError(f"--data {found.images.name}: has no labels, which training needs")
    return found.images


def _accuracy(network: Network | Program, images: Images) -> float:
    """Share of images whose largest score is at the label, a batch at a time."""
    labels = cast("npt.NDArray[np.integer[Any]]", images.labels)
    starts = range(0, len(images), 500)
    right = (int((network.run(images.pixels[at : at + 500]).argmax(1) == labels[at : at + 500]).sum()) for at in starts)
    return sum(right) / len(images)


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    if row["epoch"] == 0:
        return {"epoch": "before", "loss": "", "training": "", "test": percent(row["test_accuracy"])}
    accuracies = {"training": percent(row["accuracy"]), "test": percent(row["test_accuracy"])}
    return {"epoch": str(row["epoch"]), "loss": f"{row['loss']:.4f}"} | accuracies
