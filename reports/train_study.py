"""Train the runs of a study, simulate each trained network at 8 bits, and write down what came out.

    python reports/train_study.py reports/lenet5-mnist --root FOLDER_OF_MNIST --runs runs/lenet5-mnist

Runs that stopped go on, finished ones are not trained again; with --finished, only these are looked at. Writes results.csv
(a row a run), curves.csv (a row a run and epoch), the table in README.md below the line that says so and, where Chromium is
installed, their picture curves.png. With --keep, each trained network becomes a bundled one, under its architecture's name.
"""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import torch
from msgspec.structs import replace
from pictures import draw
from plotly.subplots import make_subplots
from rich.console import Console

from addersim.datasets import DATASETS, load
from addersim.network import Network
from addersim.quantization import Quantization
from addersim.quantization.pipeline import quantize
from addersim.report.style import FONT, network_colors
from addersim.simulation import simulate
from addersim.storage import write_atomically, write_rows
from addersim.train.loop import NETWORK, Run, train
from addersim.train.recipe import Recipe, load_recipe

BITS = 8
CALIBRATION_IMAGES = 256
MARK = "<!-- written by reports/train_study.py -->\n"
CURVES = ("epoch", "rate", "train_loss", "train_accuracy", "test_loss", "test_accuracy")
BUNDLED = Path(__file__).parent.parent / "addersim" / "data" / "networks"
COLUMNS = ("network", "gradient", "rate", "seed", "epochs", "train loss", "float accuracy", "8-bit accuracy", "agreement")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="holds study.toml; the results go there")
    parser.add_argument("--runs", type=Path, required=True, help="folder of the runs, one folder each")
    parser.add_argument("--root", type=Path, help="folder of the image set's official files")
    parser.add_argument("--finished", action="store_true", help="train nothing; write down the runs that are finished")
    parser.add_argument("--keep", action="store_true", help="bundle the trained networks")
    given = parser.parse_args()
    torch.set_num_threads(1)  # as many as the runs were made with: other numbers change the last digits
    stated = tomllib.loads((given.folder / "study.toml").read_text("utf-8"))
    rows, curves = [], []
    for name, recipe, run in runs(stated, given.runs, given.root, given.finished):
        rows.append(result(name, recipe, run, given.root))
        curves += [{"run": name, **{key: round(row[key], 5) for key in CURVES}} for row in run.history]
        print(rows[-1], flush=True)
        if given.keep:
            keep(run, recipe, stated.get("images", DATASETS[recipe.data].title))
    write_rows(given.folder / "results.csv", rows)
    write_rows(given.folder / "curves.csv", curves)
    picture(curves, given.folder / "curves.png")
    readme = given.folder / "README.md"
    text = readme.read_text("utf-8").partition(MARK)[0] if readme.exists() else f"# {given.folder.name}\n\n"
    with write_atomically(readme, "w") as file:
        file.write(text + MARK + table(rows))


def runs(stated: dict[str, Any], folder: Path, root: Path | None, finished: bool) -> Iterator[tuple[str, Recipe, Run]]:
    """Name, recipe and outcome of each run."""
    for changes in stated["runs"]:
        recipe = load_recipe(stated["study"], changes.split())
        name = f"{recipe.architecture}-{recipe.gradient}-{recipe.adder_rate}-{recipe.seed}"
        if not finished or (folder / name / NETWORK).exists():
            yield name, recipe, train(recipe, folder / name, root=root, console=Console(stderr=True))


def result(name: str, recipe: Recipe, run: Run, root: Path | None) -> dict[str, Any]:
    """One run: its accuracy in float, and simulated bit for bit on all test images."""
    network = Network.load(run.folder / NETWORK)
    images = load(recipe.data, root, "test")
    calibration = load(recipe.data, root, "train", CALIBRATION_IMAGES)
    program = quantize(network, calibration.pixels, Quantization(weight_bits=BITS, activation_bits=BITS))
    found = simulate(program, images.pixels, images.labels, network)
    adder = recipe.architecture.endswith("adder")
    return {
        "run": name,
        "network": recipe.architecture,
        "gradient": recipe.gradient if adder else "",
        "rate": recipe.adder_rate if adder else "",
        "seed": recipe.seed,
        "epochs": len(run.history),
        "train loss": round(run.history[-1]["train_loss"], 4),
        "float accuracy": f"{run.history[-1]['test_accuracy']:.4f}",
        "8-bit accuracy": f"{found.accuracy:.4f}",
        "agreement": f"{found.agreement:.4f}",
    }


def keep(run: Run, recipe: Recipe, images: str) -> None:
    """Bundle a trained network, with what its images are called."""
    network = Network.load(run.folder / NETWORK)
    title = DATASETS[recipe.data].title
    metadata = network.metadata | {"origin": network.metadata["origin"].replace(title, images)}
    replace(network, metadata=metadata).save(BUNDLED / f"{recipe.architecture}.npz")


def picture(curves: list[dict[str, Any]], path: Path) -> None:
    """Test accuracy and training loss by epoch, a line a run, as Chromium draws them."""
    figure = make_subplots(1, 2, subplot_titles=("test accuracy, %", "training loss"), horizontal_spacing=0.08)
    names = list(dict.fromkeys(row["run"] for row in curves))
    colors = network_colors({name: "l1" if "adder" in name else "mac" for name in names})
    for place, name in enumerate(names):
        again = colors[name] in [colors[one] for one in names[:place]]  # a family has four colours
        rows = [row for row in curves if row["run"] == name]
        for column, values in ((1, [100 * row["test_accuracy"] for row in rows]), (2, [row["train_loss"] for row in rows])):
            line = {"color": colors[name], "width": 2, "dash": "dot" if again else "solid"}
            trace = go.Scatter(x=[row["epoch"] for row in rows], y=values, name=name, line=line, showlegend=column == 1)
            figure.add_trace(trace, 1, column)
    figure.update_layout(template="plotly_white", font={"family": FONT}, margin={"l": 40, "r": 10, "t": 30, "b": 40})
    figure.update_layout(legend={"orientation": "h", "y": -0.15}, width=1000, height=420).update_xaxes(title="epoch")
    draw(figure, path)


def table(rows: list[dict[str, Any]]) -> str:
    """The results as a Markdown table, accuracies in per cent."""
    body = [[f"{100 * float(row[key]):.2f} %" if key in COLUMNS[6:] else str(row[key]) for key in COLUMNS] for row in rows]
    cells = [list(COLUMNS), ["---"] * len(COLUMNS), *body]
    widths = [max(len(line[place]) for line in cells) for place in range(len(COLUMNS))]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells]
    return "\n" + "\n".join(f"| {line} |" for line in lines) + "\n"


if __name__ == "__main__":
    main()
