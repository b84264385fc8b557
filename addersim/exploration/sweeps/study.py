"""Study: which points a sweep visits, from a TOML file or as a record."""

from __future__ import annotations

import itertools
import math
import os
import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, TypeVar

from msgspec import Meta, Struct, defstruct
from msgspec.structs import fields, force_setattr, replace

from addersim.arithmetic.datapaths import adder_circuits
from addersim.arithmetic.fixed import Accumulator
from addersim.config import bundled_names, make_record, parse_toml, resolve_text
from addersim.errors import ConfigError, FormatError
from addersim.hardware.designs.design_grid import flat_grid
from addersim.inputs.limits import BATCH, BITS, IMAGES
from addersim.quantization.rules import Calibration, Circuit, Correction, Quantization

__all__ = ["EXACT", "MOST_POINTS", "Study", "load_study", "read_widths", "study_names"]

EXACT = "exact"
"""A multiplier that makes no errors, as every multiplying layer has where nobody says."""

MOST_POINTS = 1_000_000
"""Largest grid that is laid out: a slip such as one axis too many is told before it fills the memory."""

Name = Annotated[str, Meta(min_length=1)]
Names = Annotated[tuple[Name, ...], Meta(min_length=1)]
Widths = int | str | Annotated[tuple[int, ...], Meta(min_length=1)]
Batch = Annotated[int, BATCH.meta]
Images = Annotated[int, IMAGES.meta]
Value = TypeVar("Value")


class Study(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A grid of points: every network with every rule, accelerator, energy table and batch.

    An axis that is not given has one value, that of `quantization`. From Python, one value may stand for an axis of it alone.

    Attributes
    ----------
    networks
        Bundled names or files of trained networks.
    training
        Networks that are trained first (needs torch): ``recipe``, a bundled training study or a TOML file, and any key of
        `addersim.train.recipe.Recipe` with one value or a list: one network for each combination. ``none`` leaves a key out,
        ``teacher = "run:lenet5-conv"`` is the study's own run, and ``prune`` without ``start`` prunes such a run.
    bits
        Widths of weights and activations together: a number, a list, or a text such as ``2..8,12,16``.
    weight_bits, activation_bits
        Widths of either apart, in place of `bits`: every weight width with every activation width.
    accumulator
        ``exact``, ``24:exact``, ``16:saturate``, ``16:wrap``, ...; see `Accumulator`.
    datapath, clip_weights
        Of adder layers: ``l1-2a`` or in short ``2a``, and so on. They make no difference to a network without such layers,
        which has one point for all of them.
    calibration, correction
        See `Quantization`.
    multiplier
        Of multiplying layers: ``exact``, or the file of a table of 256 x 256 products (`load_multiplier`), with which each
        channel's statistics are then corrected, see `quantize`. No difference to a network without such layers.
    accelerator, table, batch
        What the facts of a network are priced on; without `batch` each accelerator takes its own. None of them, nor the
        datapath, needs another simulation.
    circuit
        The former name of `datapath`; one of the two is given.
    grid
        Lists of values for fields of the accelerators, as in `addersim.design_grid`: ``array.rows = [8, 16]`` in a table
        ``[grid]``. Every combination takes the place of each accelerator, and all of them are estimated at once.
    data, root, images, resize
        Image set, the folder of its files, how many of its test images are simulated (None: all), and whether pictures of
        another size are resized.
    calibration_images
        How many of its training images choose the scales.
    quantization
        Rules that all points share, widths of single layers included.
    about
        One line for people.

    Raises
    ------
    ConfigError, FormatError
        For an axis without values or with one of another type, a width outside 2..16, or an accumulator that cannot exist.

    Examples
    --------
    >>> study = Study(networks=("lenet5-adder",), bits="2..4,8", accumulator=("exact", "16:wrap"))
    >>> [rules.weight_bits for rules in study.rules()]
    [2, 2, 3, 3, 4, 4, 8, 8]
    >>> Study(networks="lenet5-adder", clip_weights=False).clip_weights
    (False,)
    >>> Study(training={"recipe": "lenet5-mnist", "architecture": ["lenet5-adder", "lenet5-xnor"]}).networks
    ()
    """

    networks: tuple[Name, ...] = ()
    training: dict[str, Any] | None = None
    bits: Widths | None = None
    weight_bits: Widths | None = None
    activation_bits: Widths | None = None
    accumulator: Names | None = None
    datapath: Names | None = None
    circuit: Annotated[tuple[Circuit, ...], Meta(min_length=1)] | None = None
    clip_weights: Annotated[tuple[bool, ...], Meta(min_length=1)] | None = None
    calibration: Annotated[tuple[Calibration, ...], Meta(min_length=1)] | None = None
    correction: Annotated[tuple[Correction, ...], Meta(min_length=1)] | None = None
    multiplier: Names | None = None
    accelerator: Names = ("systolic-16x16",)
    table: Names = ("horowitz-45nm",)
    batch: Annotated[tuple[Batch, ...], Meta(min_length=1)] | None = None
    grid: dict[str, Any] | None = None
    data: Name = "fashion-mnist-2000"
    root: Name | None = None
    resize: bool = False
    images: Images | None = None
    calibration_images: Images = 256
    quantization: Quantization = Quantization()
    about: str = ""

    def __post_init__(self) -> None:
        for key, value in _checked(self).items():
            force_setattr(self, key, value)
        if not self.networks and not self.training:
            raise ConfigError("networks: found none, needs at least one, or a table [training] that makes some")
        if self.bits is not None and (self.weight_bits is not None or self.activation_bits is not None):
            raise ConfigError("bits: stands for weight_bits and activation_bits together; give it or them, not both")
        if self.datapath is not None and self.circuit is not None:
            raise ConfigError("datapath: circuit is its former name; give one of them")
        for text in self.accumulator or ():
            Accumulator.parse(text)
        grid = flat_grid(self.grid or {}).values()
        costs = (self.multiplier or (EXACT,), self.accelerator, self.table, self.batch or (1,), *grid)
        if (total := math.prod(map(len, (self.networks or (1,), self._widths(), *self._choices(), *costs)))) > MOST_POINTS:
            raise ConfigError(f"{total:,} points; a study has at most {MOST_POINTS:,}")

    def rules(self) -> Iterator[Quantization]:
        """Quantisation rules of each point of one network, in order: widths, then accumulator, then the other axes."""
        names = ("accumulator", "clip_weights", "calibration", "correction", "circuit")
        for (weights, activations), *others in itertools.product(self._widths(), *self._choices()):
            yield replace(
                self.quantization,
                weight_bits=weights,
                activation_bits=activations,
                **dict(zip(names, others, strict=True)),
            )

    def _widths(self) -> list[tuple[int, int]]:
        if self.bits is not None:
            return [(bits, bits) for bits in read_widths(self.bits, "bits")]
        weights, activations = (
            read_widths(getattr(self.quantization, key) if getattr(self, key) is None else getattr(self, key), key)
            for key in ("weight_bits", "activation_bits")
        )
        return list(itertools.product(weights, activations))

    def _choices(self) -> list[tuple[Any, ...]]:
        base = self.quantization
        accumulators = tuple(map(Accumulator.parse, self.accumulator or ())) or (base.accumulator,)
        given = [(getattr(self, key), getattr(base, key)) for key in ("clip_weights", "calibration", "correction")]
        given.append((self._circuits() or None, base.circuit))
        return [once(accumulators), *(once((shared,) if values is None else values) for values, shared in given)]

    def _circuits(self) -> tuple[str, ...]:
        """Circuits of adder layers, whichever name they were given under."""
        try:
            return self.circuit or adder_circuits(self.datapath or ())
        except FormatError as error:
            raise ConfigError(f"datapath: {error}") from None


def _checked(study: Study) -> dict[str, Any]:
    """The values of a study, each as its type says: msgspec checks what a file holds, and not what Python code gives."""
    plain = {key: _plain(key, getattr(study, key)) for key in study.__struct_fields__}
    unchecked = defstruct("Study", [(one.name, one.type) for one in fields(study)], forbid_unknown_fields=True, kw_only=True)
    found = make_record(plain, unchecked, "study")
    return {key: getattr(found, key) for key in plain}


def _plain(key: str, value: Any) -> Any:
    """A value as a file would hold it: numpy's scalars and paths as plain values, an axis as a list."""
    if isinstance(value, list | tuple | range):
        return [_plain("", one) for one in value]
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    elif getattr(value, "shape", None) == ():
        value = value.item()
    return [value] if key in _AXES and value is not None else value


_AXES = frozenset(
    (
        "networks",
        "accumulator",
        "datapath",
        "circuit",
        "clip_weights",
        "calibration",
        "correction",
        "multiplier",
        "accelerator",
        "table",
        "batch",
    )
)
"""Keys that take a list of values; the widths also take a number or a text."""


def once(values: Sequence[Value]) -> tuple[Value, ...]:
    """Values in order, repeated ones once."""
    return tuple(dict.fromkeys(values))


def read_widths(found: int | str | Sequence[int], where: str) -> tuple[int, ...]:
    """Bit widths from a number, a list or a text; each once, in the given order.

    Examples
    --------
    >>> read_widths("2..5,8,12..16", "bits")
    (2, 3, 4, 5, 8, 12, 13, 14, 15, 16)
    """
    numbers = list(_numbers(found, where)) if isinstance(found, str) else [found] if isinstance(found, int) else list(found)
    for bits in numbers:
        BITS.check(bits, where)
    return once(numbers)


def _numbers(text: str, where: str) -> Iterator[int]:
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,3})(?:\.\.([0-9]{1,3}))?\s*", part)
        if not match or int(match[1]) > int(match[2] or match[1]):
            raise ConfigError(f"{where}: {part.strip()!r} is not a width or a range such as 2..8")
        yield from range(int(match[1]), int(match[2] or match[1]) + 1)


def study_names() -> tuple[str, ...]:
    """Names of the bundled studies."""
    return bundled_names("sweeps", ".toml")


def load_study(name: str | os.PathLike[str]) -> Study:
    """A study by bundled name, or from a TOML file.

    Raises
    ------
    ConfigError
        No such name or file, or a file that does not hold a study.

    Examples
    --------
    >>> load_study("bit-widths").networks
    ('lenet5-adder', 'lenet5-conv')
    """
    _, where, text = resolve_text(name, "sweeps", ".toml", "sweep")
    return parse_toml(text, Study, where)
