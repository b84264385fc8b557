"""The command ``addersim``: each verb parses its options and calls the public function of the same name."""

from __future__ import annotations

import sys
import warnings
from typing import Annotated

import typer

from addersim.cli import (
    characterise,
    check,
    compare,
    compare_rounding,
    count,
    demo,
    designs,
    estimate,
    explain,
    export,
    finetune,
    list_,
    lower,
    multiplier,
    new,
    prove,
    report,
    search,
    simulate,
    sweep,
    train,
    verify,
)
from addersim.cli.output import say
from addersim.cli.streams import complain, drop_output, prepare_output, warned
from addersim.cli.usage import UsageError, not_utf_8_told, out_of_memory_told, stopped_told, told
from addersim.cli.verbosity import LOGGER, said_at, take_verbosity
from addersim.errors import AddersimError, lacks_memory
from addersim.processes.stopping import Stopped, stoppable

__all__ = ["app", "main"]


_BY_CTRL_C = 130


def _tell_version(asked: bool) -> None:
    if asked:
        from addersim import __version__

        say(f"addersim {__version__}")
        raise typer.Exit


app = typer.Typer(
    name="addersim",
    help="Simulate AdderNets and their multiplying rivals bit for bit; count and price what the hardware does.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # boxes leave the text of an option 18 letters on a terminal of 80
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Print the version.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Before or after the verb: no warnings, no progress.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also what is read, and what takes long; -vv: more.")
    ] = False,
) -> None:
    """What the command takes before a verb; its help is the app's."""


VERBS = {
    demo: "Run both bundled LeNets, and write a page.",
    simulate: "Run a network bit for bit, beside float.",
    prove: "Prove the least register widths that never overflow.",
    count: "Count the operations of a network for one image.",
    estimate: "Estimate energy and latency on an accelerator.",
    designs: "Estimate a network on a grid of designs, all at once.",
    compare: "Compare designs, and say what their ratios are due to.",
    sweep: "Sweep bit widths, registers, circuits, accelerators.",
    search: "Search bit widths a layer within an accuracy floor.",
    report: "Write a page, CSV tables and JSON of networks.",
    lower: "Translate a torch, ONNX or TFLite network to an .npz.",
    export: "Write a quantised network as ONNX, or a layer's words.",
    verify: "Run Verilog of your own on a layer's words.",
    train: "Train a network (needs torch).",
    finetune: "Train a network for its bit widths (needs torch).",
    multiplier: "Tell the errors of a multiplier that is a table.",
    characterise: "Make an energy table from a cell library's gates.",
    check: "Check files of every kind that the verbs take.",
    new: "Write a commented file to begin with.",
    explain: "Explain a column, a term or a key of a file.",
    compare_rounding: "Compare two rules of rounding, code by code.",
    list_: "List networks, accelerators, tables and other names.",
}
"""Modules of the verbs, and what each does in the list of all of them, where a line has room for so much."""
for verb, told_in_short in VERBS.items():
    name = verb.__name__.rpartition(".")[2].rstrip("_").replace("_", "-")
    app.command(name, short_help=told_in_short)(verb.run)


def main() -> None:
    """Run a command line; a user's mistake is one line on standard error and exit status 2."""
    arguments, level = take_verbosity(sys.argv[1:])
    warnings.simplefilter("ignore", RuntimeWarning)  # numpy's, of overflow: what comes of it is refused by name
    try:
        prepare_output()
        with stoppable(), said_at(level):
            with warned() as warnings_told:
                status = app(arguments or ["--help"], prog_name="addersim", standalone_mode=False)
            for warning in warnings_told:
                LOGGER.warning(warning)
        if status == _BY_CTRL_C:  # typer makes a status of it
            complain(stopped_told("Ctrl-C", arguments))
        sys.stdout.flush()  # what cannot be written is told here, not by Python while it exits
        sys.exit(status or (0 if arguments else 2))
    except Stopped as stop:
        complain(stopped_told(str(stop), arguments, stop.kept))
        sys.exit(stop.status)
    except UsageError as error:
        message = told(error, arguments)
    except AddersimError as error:
        message = str(error)
    except BrokenPipeError:
        drop_output()
        sys.exit(1)
    except (KeyboardInterrupt, typer.Abort):
        complain(stopped_told("Ctrl-C", arguments))
        sys.exit(_BY_CTRL_C)
    except (MemoryError, RuntimeError) as error:
        if not lacks_memory(error):
            raise
        message = out_of_memory_told(error, arguments, app)
    except UnicodeEncodeError as error:
        message = not_utf_8_told(error)
    except OSError as error:
        message = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    complain(message)
    drop_output()
    sys.exit(2)
