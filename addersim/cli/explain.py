"""addersim explain: what a word or a column means."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any

import typer

from addersim.cli import options
from addersim.cli.complete import completes
from addersim.cli.output import print_json, print_table, say, say_fact
from addersim.errors import ConfigError


def run(
    word: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[WORD]",
            help="A column, a term, or a key of an accelerator file; all terms by default.",
            autocompletion=completes("words"),
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Explain a word: a column of a table or file, a term of the field, a key of an accelerator file."""
    from addersim.glossary import glossary

    if word:
        found = _found(" ".join(word))
        if json:
            print_json(found)
        else:
            _print(found)
        return
    if json:
        print_json({name: _document(name, term) for name, term in glossary().items()})
        return
    groups = dict.fromkeys(term.group for term in glossary().values())
    for place, group in enumerate(groups):
        if place:
            say()
        of = {name: term for name, term in glossary().items() if term.group == group}
        print_table(group, [{"word": name, "meaning": term.meaning} for name, term in of.items()])


def _document(name: str, term: Any) -> dict[str, Any]:
    return {"word": name, "meaning": term.meaning, "unit": term.unit, "also": term.also, "where": term.where}


def _found(word: str) -> dict[str, Any]:
    """What is known of a word: in the glossary, or as a key of an accelerator file. Raises ConfigError."""
    from addersim.glossary import find_term
    from addersim.hardware.file_keys import file_tables
    from addersim.inputs.text import did_you_mean

    keys = {
        ".".join(filter(None, (name, key.name))): (key, name)
        for table in file_tables()
        for name in table.names
        for key in table.keys
    }
    try:
        return _document(*find_term(word))
    except ConfigError as error:
        known = keys | {key.name: (key, name) for key, name in reversed(keys.values())}
        if word not in known and "." in word:  # conv1.weight_bits, buffers.*.capacity_kib: whose it is stands before
            with suppress(ConfigError):
                return _found(word.rpartition(".")[2])
        if word not in known:
            near = str(error) if "did you mean" in str(error) else f"{error}{did_you_mean(word, known)}"
            raise ConfigError(near) from None
    key, table = known[word]
    default = "needed" if key.default is None else f"default {key.default}"
    where = f"[{table}] of an accelerator file" if table else "top level of an accelerator file"
    return {"word": key.name, "meaning": key.meaning, "unit": f"{key.takes}; {default}", "also": (), "where": (where,)}


def _print(found: dict[str, Any]) -> None:
    say(f"{found['word']}: {found['meaning']}")
    for name, text in (("unit", found["unit"]), ("also", ", ".join(found["also"])), ("where", ", ".join(found["where"]))):
        if text:
            say_fact(name, text)
