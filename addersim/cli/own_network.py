"""A user's own network, by PACKAGE.MODULE:CALLABLE. Their code runs here, and whatever it does ends in one line."""

from __future__ import annotations

import inspect
import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib import import_module
from typing import Any, TypeVar

from addersim.errors import LoweringError

__all__ = ["own_network"]

Result = TypeVar("Result")
_FORM = "PACKAGE.MODULE:CALLABLE, such as my.package:make_network"


def own_network(source: str) -> Any:
    """The torch module that a source names, or that what it names returns when it is called without arguments."""
    from torch import nn

    path, _, attribute = source.partition(":")
    if not all(name.isidentifier() for name in (*path.split("."), *attribute.split("."))):
        raise LoweringError(f"{source!r}: needs {_FORM}")
    with _said_later():
        found: Any = _run(source, "its import", lambda: import_module(path))
        for name in attribute.split("."):
            if not hasattr(found, name):
                raise LoweringError(f"{source}: {path} has no {attribute}; needs {_FORM}")
            found = getattr(found, name)
        if not isinstance(found, nn.Module):
            _check_callable(source, found)
            found = _run(source, "the call", found)
    if not isinstance(found, nn.Module):
        raise LoweringError(f"{source}: gives {_kind(found)}; needs a torch.nn.Module, or what returns one")
    return found


def _run(source: str, what: str, call: Callable[[], Result]) -> Result:
    """What a user's code returns; all that it may raise, its exit too, is told as an error."""
    try:
        return call()
    except (KeyboardInterrupt, MemoryError):
        raise
    except SystemExit as error:
        raise LoweringError(f"{source}: {what} ends the program (exit status {error.code})") from None
    except ModuleNotFoundError as error:
        raise LoweringError(f"{source}: cannot be imported ({error})") from None
    except Exception as error:
        raise LoweringError(f"{source}: {what} failed ({type(error).__name__}: {error})") from None


def _check_callable(source: str, found: Any) -> None:
    if not callable(found):
        raise LoweringError(f"{source}: is {_kind(found)}; needs a torch.nn.Module, or what returns one")
    try:
        inspect.signature(found).bind()
    except TypeError as error:
        raise LoweringError(f"{source}: cannot be called without arguments ({error}); needs a callable that can") from None
    except ValueError:
        return  # a builtin that does not tell its arguments


def _kind(found: Any) -> str:
    return f"the module {found.__name__}" if inspect.ismodule(found) else f"a {type(found).__name__}"


@contextmanager
def _said_later() -> Iterator[None]:
    """What a user's code prints goes to standard error, after it has ended well: standard output is ours alone."""
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        yield
    sys.stderr.write(said.getvalue())
