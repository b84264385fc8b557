"""Blocks of code in Markdown and notebooks, run as a reader would run them: in order, in one folder, in one Python."""

import contextlib
import doctest
import io
import json
import re
import shlex
from pathlib import Path
from typing import NamedTuple

from tests.command_line import call

BLOCK = re.compile(
    r"^(?:<!-- (not run|slow): ([^>]+) -->\n)?```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL
)


class Block(NamedTuple):
    """A fenced block: its language, the file that it is, what a comment before it says, its reason, and its text."""

    kind: str
    title: str
    mark: str
    reason: str
    text: str


def blocks(markdown):
    """All fenced blocks of a page, in order. One that begins beside the margin has no part in this."""
    return [Block(kind, title or "", mark or "", why or "", text) for mark, why, kind, title, text in BLOCK.findall(markdown)]


def commands(text):
    """The commands of a block, without comments and with lines that a backslash continues as one."""
    for line in text.replace("\\\n", " ").splitlines():
        if words := shlex.split(line, comments=True):
            yield words


def run_page(found, slow=False):
    """Run what a page's blocks hold, but for those that are marked otherwise; the current folder is theirs."""
    names = {"__name__": "__main__"}
    for block in found:
        if block.mark == "not run" or (block.mark == "slow" and not slow):
            continue
        if block.title:
            Path(block.title).write_text(block.text)
        elif block.kind == "bash":
            for words in commands(block.text):
                run_command(words)
        elif block.kind == "python":
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(block.text, "block", "exec"), names)
        elif block.kind == "pycon":
            run_examples(block.text, names)


def run_command(words):
    """One command line of ours, in this process."""
    assert words[0] == "addersim", f"only addersim is run here: {words}; mark the block `not run` and say why"
    found = call(*words[1:])
    assert found.returncode == 0, (words, found.stderr)


def run_examples(text, names):
    """Examples whose results must be those that stand there; names last from one to the next."""
    test = doctest.DocTestParser().get_doctest(text, names, "block", None, 0)
    report = io.StringIO()
    runner = doctest.DocTestRunner(verbose=False)
    runner.run(test, out=report.write, clear_globs=False)
    names.update(test.globs)
    assert not runner.failures, report.getvalue()


def run_notebook(text):
    """The code cells of a notebook, in order."""
    names = {"__name__": "__main__"}
    for cell in json.loads(text)["cells"]:
        if cell["cell_type"] == "code":
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile("".join(cell["source"]), "cell", "exec"), names)
