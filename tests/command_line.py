"""A command line in this process, through the same `main`: a process of its own takes a second or more to start."""

import io
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from subprocess import CompletedProcess
from unittest import mock

from addersim.cli import main


def call(*arguments):
    """What a process of its own would give: status, standard output and standard error."""
    command = ["addersim", *map(str, arguments)]
    output, errors = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with (
        mock.patch.object(sys, "argv", command),
        redirect_stdout(output),
        redirect_stderr(errors),
        warnings.catch_warnings(),
    ):
        try:
            main()
        except SystemExit as left:
            status = left.code
    output.flush()
    return CompletedProcess(command, status, output.buffer.getvalue().decode(), errors.getvalue())


def refused(*arguments):
    """The one line on standard error of a command that ends with status 2, without its start."""
    found = call(*arguments)
    assert (found.returncode, found.stdout) == (2, ""), found
    (line,) = found.stderr.splitlines()
    assert line.startswith("addersim: ")
    return line.removeprefix("addersim: ")
