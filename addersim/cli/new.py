"""addersim new: a commented file to begin with, which runs as it is."""

from __future__ import annotations

import os
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import typer

from addersim.cli import options
from addersim.cli.complete import completes_from
from addersim.cli.output import print_json, say, say_file
from addersim.errors import ConfigError
from addersim.inputs.opening import STANDARD

KINDS = MappingProxyType(
    {
        "accelerator": "addersim estimate lenet5-adder --accelerator {file}",
        "sweep": "addersim sweep {file} -o sweep",
        "study": "addersim train {file} -o run",
    }
)
"""What runs a file of each kind."""


def run(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="accelerator|sweep|study", help="What the file describes.", autocompletion=completes_from(lambda: KINDS)
        ),
    ],
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Where to; KIND.toml by default, -: standard output.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    json: options.Json = False,
) -> None:
    """Write a commented file of an accelerator, a sweep or a training study that runs as it is."""
    from addersim.config import resolve_text
    from addersim.inputs.text import did_you_mean
    from addersim.storage import write_atomically

    if kind not in KINDS:
        raise ConfigError(f"new {kind!r}: not one of {', '.join(KINDS)}{did_you_mean(kind, KINDS)}")
    text = resolve_text(kind, "templates", ".toml", "template")[2]
    path = file or Path(f"{kind}.toml")
    if str(path) == STANDARD:
        print(text, end="")
        return
    if path.suffix != ".toml":
        found = f"ends in {path.suffix}" if path.suffix else "has no ending"
        raise ConfigError(f"new {kind}: {path} {found}, and what is written is TOML; name it {path.with_suffix('.toml')}")
    if os.path.lexists(path) and not force:
        raise ConfigError(f"new {kind}: {path} is there already; name another file, or --force replaces it")
    with write_atomically(path, "w") as stream:
        stream.write(text)
    command = KINDS[kind].format(file=path)
    if json:
        print_json({"file": str(path), "command": command})
        return
    say_file(kind, path)
    say(f"run it: {command}")
