"""addersim multiplier: how far a multiplier's table is from multiplication."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, cast

import typer

from addersim.cli import options
from addersim.cli.output import print_json, print_table
from addersim.tabular import percent, show


def run(
    file: Annotated[
        Path, typer.Argument(help="Table of 256 x 256 products: .npy, .npz, .csv, raw numbers, or a TOML file that names one.")
    ],
    operands: Annotated[
        str | None,
        typer.Option(
            help="unsigned (0..255), signed (-128..127) or signed-bytes (0..127, then -128..-1): which codes rows and columns "
            "are of.",
            show_default="in which the table is nearest to multiplication",
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Tell the errors of a multiplier that is a table, over all pairs of operands."""
    import msgspec

    from addersim.arithmetic.multiplier_files import Operands, load_multiplier

    found = load_multiplier(file, cast("Operands | None", operands))  # a wrong name is refused there
    errors = found.errors()
    if json:
        print_json({"signed": found.signed, **msgspec.to_builtins(found.price), "errors": asdict(errors)})
        return
    low, high = found.codes
    rows = {
        "ME, mean error": show(errors.mean_error),
        "MAE, mean absolute error": show(errors.mean_absolute_error),
        "WCE, worst-case error": show(errors.worst_case_error),
        "MRE, mean relative error": percent(errors.mean_relative_error),
        "EP, error probability": percent(errors.error_probability),
        "MSE, mean squared error": show(errors.mean_squared_error),
    }
    stated = msgspec.to_builtins(found.price)
    rows |= {key.replace("_", " "): str(value) for key, value in stated.items() if key != "name" and value not in (None, "")}
    title = f"multiplier {found.name}: operands {low}..{high}, all 65,536 pairs as likely"
    print_table(title, [{"what": name, "value": value} for name, value in rows.items()])
