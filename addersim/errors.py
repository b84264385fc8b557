"""The error types of addersim, all of them `ValueError`: a user's mistake, told in one line.

Every message says where, what was found, what is allowed and, where it is not obvious, what to do.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import MappingProxyType

from addersim.inputs.text import one_line

__all__ = [
    "AddersimError",
    "AddersimWarning",
    "ConfigError",
    "DataError",
    "FormatError",
    "HardwareError",
    "KindError",
    "LoweringError",
    "NetworkError",
    "PriceError",
    "QuantizationError",
    "SweepError",
    "check_kind",
    "check_name",
    "lacks_memory",
    "needing_memory",
    "out_of_memory",
]


class AddersimError(ValueError):
    """Base of every error that a user's input can cause; the command line turns it into exit status 2.

    Names in a message come from files: it is one line without control characters, whatever they hold.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(one_line(message))


class FormatError(AddersimError):
    """A number format, rounding, overflow or accumulator that cannot exist."""


class AddersimWarning(UserWarning):
    """What was read in another way than its author may have meant; in one line, as errors are."""


class ConfigError(AddersimError):
    """A configuration file or option with an unknown key, a wrong type or a value out of range."""


class DataError(AddersimError):
    """Images or labels that are missing, damaged, or of the wrong shape, type or range."""


class NetworkError(AddersimError):
    """A network or program that is inconsistent, or a file that does not hold one."""


class LoweringError(AddersimError):
    """A torch module or function for which there is no layer."""


class QuantizationError(AddersimError):
    """Bit widths, calibration or rewrites that do not fit the network."""


class HardwareError(AddersimError):
    """An accelerator that cannot run a trace, or that does not fit its silicon."""


class PriceError(HardwareError):
    """An energy table without a needed row: another table may have it."""


class KindError(AddersimError, TypeError):
    """A value of another type than a function takes, such as a network where a program is needed."""


class SweepError(AddersimError):
    """A sweep that had to stop; what is finished is kept, and the same command goes on from there."""


_MADE_BY = MappingProxyType(
    {
        "Network": "addersim.load(name) gives one by name or file, addersim.lower a module's",
        "Program": "addersim.quantize(network, images) makes one of a network",
        "Trace": "addersim.count(program) gives one, and addersim.simulate(...).trace",
        "Result": "addersim.evaluate(trace, accelerator) gives one",
        "Topology": "addersim.load_topology(file) gives one",
        "Images": "addersim.load_images(name) gives them",
    }
)
"""What makes the values that flow, by the names of their types."""


def check_kind(value: object, kind: type, where: str, advice: str = "") -> None:
    """Refuse a value of another type than a function takes, and say what makes one; `where` names function and argument.

    The advice is that of `_MADE_BY` where none is given.

    Examples
    --------
    >>> check_kind("lenet5-adder", int, "simulate: threads", "such as 2")
    Traceback (most recent call last):
    addersim.errors.KindError: simulate: threads: found str, needs int; such as 2
    """
    if not isinstance(value, kind):
        raise KindError(f"{where}: found {type(value).__name__}, needs {kind.__name__}; {advice or _MADE_BY[kind.__name__]}")


def check_name(value: object, where: str) -> None:
    """Refuse what is neither a name nor the path of a file.

    Examples
    --------
    >>> check_name(7, "energy table")
    Traceback (most recent call last):
    addersim.errors.KindError: energy table: found int, needs a name or the path of a file
    """
    if not isinstance(value, (str, os.PathLike)):
        raise KindError(f"{where}: found {type(value).__name__}, needs a name or the path of a file")


@contextmanager
def needing_memory(what: str) -> Iterator[None]:
    """Note on a MemoryError what needed the memory; the note goes with it from one process to another."""
    try:
        yield
    except MemoryError as error:
        error.add_note(what)
        raise


def lacks_memory(error: BaseException) -> bool:
    """Whether an error is want of memory: torch tells it as a RuntimeError."""
    told = str(error)
    return isinstance(error, MemoryError) or "can't allocate memory" in told or "CUDA out of memory" in told


def out_of_memory(error: BaseException) -> str:
    """Want of memory in words: what needed it, and how much, where that is known.

    Examples
    --------
    >>> try:
    ...     with needing_memory("layer conv1"):
    ...         raise MemoryError("Unable to allocate 8 TiB")
    ... except MemoryError as error:
    ...     out_of_memory(error)
    'not enough memory for layer conv1 (Unable to allocate 8 TiB)'
    """
    noted = "".join(f" for {note}" for note in getattr(error, "__notes__", [])[:1])
    reason = " ".join(str(error).split())
    return f"not enough memory{noted}" + (f" ({reason})" if reason else "")
