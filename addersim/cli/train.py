"""addersim train: train a network by a recipe, or probe it at its first step."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import typer

from addersim.cli import options
from addersim.cli.complete import completes
from addersim.cli.output import print_json, print_table, say, say_file, say_page
from addersim.errors import ConfigError
from addersim.inputs.limits import IMAGE_SIDE, THREADS
from addersim.inputs.text import did_you_mean
from addersim.tabular import percent

if TYPE_CHECKING:
    from addersim.train.loop import Run
    from addersim.train.recipe import Recipe

Probe = Literal["gradients", "variance"]


def run(
    study: Annotated[
        str,
        typer.Argument(
            metavar="STUDY",
            help="A bundled study, such as lenet5-mnist, or a TOML file.",
            autocompletion=completes("studies"),
        ),
    ],
    changes: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Single values that replace the study's.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of checkpoint, history and network; a run in it goes on.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="SET|FILE|FOLDER",
            help="As data=...: a set, a folder with one folder a class, an .npz, .parquet or .csv.",
        ),
    ] = None,
    resize: Annotated[
        int | None,
        options.whole(IMAGE_SIDE, "--resize", help="Height and width to scale and cut the pictures of your folder to."),
    ] = None,
    root: options.Root = None,
    probe: Annotated[
        str | None,
        typer.Option(help="Do not train; look at the first step: gradients (norms, adder beside conv) or variance."),
    ] = None,
    device: options.Device = None,
    threads: Annotated[
        int | None, options.whole(THREADS, "--threads", help="CPU threads; their number changes the last digits.")
    ] = None,
    figures: options.Figures = None,
    json: options.Json = False,
) -> None:
    """Train a network (needs torch); the folder then holds network.npz, ready for addersim simulate."""
    missing = [name for name in ("torch", "safetensors") if find_spec(name) is None]
    if missing:
        raise ConfigError(f"training needs {' and '.join(missing)}; install with: pip install 'addersim[train]'")
    if probe not in (None, *get_args(Probe)):
        raise ConfigError(
            f"--probe {probe!r} is not one of {', '.join(get_args(Probe))}{did_you_mean(str(probe), get_args(Probe))}"
        )
    if probe is not None and figures is not None:
        raise ConfigError("--figures: a probe has no page; leave it out")
    if (output is None) == (probe is None):
        raise ConfigError("name either --output DIR, where the run is kept, or --probe, which keeps nothing")
    from addersim.train.recipe import load_recipe

    options.check_figures(figures)
    own = {"data": data, "resize": resize}
    recipe = load_recipe(study, [*(changes or ()), *(f"{key}={one}" for key, one in own.items() if one is not None)])
    chosen = options.training_device(device, threads)
    if output is None:
        _probe(recipe, probe, root, json)
        return
    found = _train(recipe, output, root, chosen)
    page = _page(recipe, found, figures)
    if json:
        print_json(_document(recipe, found) | {"page": str(page)})
    else:
        print_table(f"{recipe.architecture} on {recipe.data}: the last epochs", list(found.history[-5:]))
        say()
        say(f"test accuracy {percent(found.history[-1]['test_accuracy'])}")
        say_file("network", found.folder / "network.npz")
        say_page(page, figures)


def _train(recipe: Recipe, output: Path, root: Path | None, device: str) -> Run:
    from rich.console import Console

    from addersim.train.loop import train

    return train(recipe, output, root=root, device=device, console=Console(stderr=True))


def _page(recipe: Recipe, found: Run, figures: Path | None) -> Path:
    import msgspec

    from addersim.report.training_page import write_training_page

    given = {key: str(value) for key, value in msgspec.structs.asdict(recipe).items() if value is not None}
    return write_training_page(found.folder, found.history, given, f"{recipe.architecture} on {recipe.data}", figures)


def _probe(recipe: Recipe, probe: str | None, root: Path | None, json: bool) -> None:
    from addersim.train.probe import gradient_norms, output_variances

    rows = (gradient_norms if probe == "gradients" else output_variances)(recipe, root)
    if json:
        print_json({"probe": probe, "recipe": recipe, "layers": rows})
    else:
        what = "norm of each layer's filter gradient" if probe == "gradients" else "variance of each layer's outputs"
        print_table(f"{recipe.architecture} on {recipe.data}, first step: {what}", rows)


def _document(recipe: Recipe, found: Run) -> dict[str, Any]:
    last = found.history[-1]
    return {
        "recipe": recipe,
        "epochs": len(found.history),
        "train_accuracy": last["train_accuracy"],
        "test_accuracy": last["test_accuracy"],
        "folder": str(found.folder),
        "network": str(found.folder / "network.npz"),
        "history": found.history,
    }
