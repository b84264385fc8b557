"""Writing: a page as ``index.html``, the files beside it, and its figures as pictures where they are asked for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from addersim.processes.result_folders import Kind, check_kind
from addersim.report.document import render_document
from addersim.report.images import write_figures
from addersim.report.section import Page
from addersim.storage import write_atomically

__all__ = ["PAGE", "write_page"]

PAGE = "index.html"
_NONE: Mapping[str, str] = MappingProxyType({})


def write_page(
    page: Page,
    folder: str | os.PathLike[str],
    kind: Kind,
    figures: str | os.PathLike[str] | None = None,
    beside: Mapping[str, str] = _NONE,
) -> Path:
    """Write a page, which needs no other file and no network.

    Everything is made before the first file is written, and every file appears whole or not at all, the page last.

    Parameters
    ----------
    page
        What it holds.
    folder
        Where to; made where it is missing, files of these names in it are replaced.
    kind
        Of results; a folder that holds another kind is refused.
    figures
        Folder for each of its figures as SVG and PNG too.
    beside
        Texts of the files beside it that are made with it, by name.

    Returns
    -------
    Path of ``index.html``.

    Raises
    ------
    ConfigError
        Where the folder holds results of another kind, whose page this one would replace; and where figures are asked for and
        cannot be drawn: the page is there then.
    """
    check_kind(folder, kind)
    for name, text in {**beside, PAGE: render_document(page)}.items():
        with write_atomically(Path(folder, name)) as stream:
            stream.write(text.encode("utf-8", "backslashreplace"))  # names of files need not be UTF-8
    if figures is not None:
        write_figures(page.parts, figures)
    return Path(folder, PAGE)
