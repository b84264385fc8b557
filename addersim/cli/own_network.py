"""A user's own network, by module or file and callable. Their code runs here, and whatever it does ends in one line."""

from __future__ import annotations

import inspect
import io
import os
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import partial
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from traceback import extract_tb
from types import ModuleType
from typing import Any, TypeVar

from addersim.errors import LoweringError
from addersim.inputs.opening import near_file
from addersim.inputs.text import did_you_mean

__all__ = ["own_network"]

Result = TypeVar("Result")
_FORM = "PACKAGE.MODULE:CALLABLE, such as my.package:make_network, or FILE.py:CALLABLE"
_INSTALLED = tuple({os.path.realpath(path) + os.sep for path in sysconfig.get_paths().values()})
"""Folders of Python and of packages: an error there is told at the line of the user's code that led to it."""


def own_network(source: str) -> Any:
    """The torch module, or exported program, that a source names, or that what it names returns when it is called."""
    from torch import export, nn

    networks = nn.Module, export.ExportedProgram
    path, _, attribute = source.rpartition(":")
    names = attribute.split(".") if path.endswith(".py") else (*path.split("."), *attribute.split("."))
    if not all(name.isidentifier() for name in names):
        raise LoweringError(f"{source!r}: needs {_FORM}")
    with _said_later():
        module = _run(source, "its import", lambda: _import(source, path))
        found: Any = module
        for name in attribute.split("."):
            if (found := _run(source, f"{name} of it", partial(getattr, found, name, _NOTHING))) is _NOTHING:
                raise LoweringError(
                    f"{source}: {path} has no {attribute}; needs {_FORM}{did_you_mean(attribute, vars(module))}"
                )
        if not isinstance(found, networks):
            _check_callable(source, found)
            found = _run(source, "the call", found)
    if not isinstance(found, networks):
        raise LoweringError(f"{source}: gives {_kind(found)}; needs a torch.nn.Module, or what returns one")
    return found


_NOTHING = object()


def _import(source: str, path: str) -> ModuleType:
    """A module by name, from the current folder too as ``python -m`` has it; or by file, from its folder."""
    folder = os.path.dirname(os.path.abspath(path)) if path.endswith(".py") else os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    if not path.endswith(".py"):
        return import_module(path)
    if not os.path.isfile(path):
        raise LoweringError(f"{source}: there is no file {path}; needs {_FORM}{near_file(path)}")
    name = os.path.basename(path).removesuffix(".py")
    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None  # it ends in .py
    module = sys.modules[name] = module_from_spec(spec)  # classes find the module that they stand in
    spec.loader.exec_module(module)
    return module


def _run(source: str, what: str, call: Callable[[], Result]) -> Result:
    """What a user's code returns; all that it may raise, its exit too, is told as an error."""
    try:
        return call()
    except (KeyboardInterrupt, MemoryError, LoweringError):
        raise
    except SystemExit as error:
        raise LoweringError(f"{source}: {what} ends the program (exit status {error.code})") from None
    except ModuleNotFoundError as error:
        own = source.startswith(f"{error.name}.") or source.startswith(f"{error.name}:")
        advice = "stand in its folder, or give FILE.py:CALLABLE" if own else f"install what gives {error.name}"
        raise LoweringError(f"{source}: cannot be imported ({error}){_place(error)}; {advice}") from None
    except Exception as error:
        raise LoweringError(f"{source}: {what} failed ({type(error).__name__}: {error}){_place(error)}") from None


def _place(error: Exception) -> str:
    """Where in the user's code an error was, as words; empty where it was not there."""
    ours = os.path.dirname(os.path.realpath(__file__)) + os.sep
    theirs = [
        frame
        for frame in extract_tb(error.__traceback__)
        if not frame.filename.startswith("<") and not os.path.realpath(frame.filename).startswith((ours, *_INSTALLED))
    ]
    return f" at {theirs[-1].filename}, line {theirs[-1].lineno}" if theirs else ""


def _check_callable(source: str, found: Any) -> None:
    if not callable(found):
        raise LoweringError(f"{source}: is {_kind(found)}; needs a torch.nn.Module, or what returns one")
    try:
        inspect.signature(found).bind()
    except TypeError as error:
        raise LoweringError(
            f"{source}: cannot be called without arguments ({error}); needs a callable that can: "
            f"def network(): return {source.rpartition(':')[2]}(...)"
        ) from None
    except ValueError:
        return  # a builtin that does not tell its arguments


def _kind(found: Any) -> str:
    if inspect.ismodule(found):
        return f"the module {found.__name__}"
    if isinstance(found, tuple | list):
        return f"a {type(found).__name__} of {', '.join(type(one).__name__ for one in found[:5]) or 'nothing'}"
    return "None" if found is None else f"a {type(found).__name__}"


@contextmanager
def _said_later() -> Iterator[None]:
    """What a user's code prints goes to standard error, after it has ended well: standard output is ours alone."""
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        yield
    sys.stderr.write(said.getvalue())
