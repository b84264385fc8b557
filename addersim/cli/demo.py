"""addersim demo: the main job on the data that come with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from addersim.cli import options
from addersim.cli.report import finish, result_of
from addersim.inputs.limits import BITS

NETWORKS = ("lenet5-adder", "lenet5-conv")
DATA = "fashion-mnist-2000"


def run(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the page and the tables.")] = Path("reports/demo"),
    bits: Annotated[int, options.whole(BITS, "--bits", help="Width of weights and activations.")] = 8,
    accelerator: options.AcceleratorName = "systolic-16x16",
    table: options.Table = "horowitz-45nm",
    figures: options.Figures = None,
    json: options.Json = False,
) -> None:
    """Run an AdderNet and its multiplying twin bit for bit, estimate their energy, and write a page."""
    from addersim.model_zoo import load_network
    from addersim.processes.result_folders import held

    options.check_figures(figures)
    how = options.quantization(bits)
    title = f"LeNet-5-BN on Fashion-MNIST: additions against multiplications at {bits} bits"
    with held(output, "report"):
        results = [result_of(load_network(name), how, DATA, None, None, accelerator, table) for name in NETWORKS]
        finish(results, output, title, json, figures)
