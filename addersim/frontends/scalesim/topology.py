"""SCALE-Sim's topology files: a table of convolutions or matrix products becomes a trace.

The format, as versions 2 and 3 read it: the first line names the columns, every other line that is not empty is a layer, and
each line may end in a comma. SCALE-Sim drops what stands behind the last comma, so that comments are written there. It reads
by place and never looks at the names (42 of its own files have other ones, such as IFMAP Width twice); so does this reader,
and warns where a name says otherwise. Names tell convolutions from matrix products, though: SCALE-Sim has an option for that.

- Convolutions: layer name, IFMAP height and width (padding included, for there is no field for it), filter height and width,
  channels, filters, stride. It has (in - filter + stride) / stride outputs a side, rounded *up*: a window that sticks out at
  the far end counts. A name with ``DP`` in it is a depthwise convolution: one product a channel, one after another.
- Matrix products: layer name, M, N, K.

Columns that newer versions append are read by their names: stride width, batch size (1 only; a batch is an option here) and
sparsity (dense only). There are no layers between these, so that narrowing sums to activations is free, and every layer
fetches its input from DRAM.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from warnings import warn

import numpy as np

from addersim.arithmetic.datapaths import datapath as find_datapath
from addersim.arithmetic.fixed import FixedFormat
from addersim.arithmetic.geometry import Geometry, check_work
from addersim.config import read_text
from addersim.errors import AddersimWarning, ConfigError, NetworkError, check_kind
from addersim.inputs.limits import Limit
from addersim.inputs.opening import source
from addersim.inputs.text import did_you_mean, printable
from addersim.layers import IntegerWindow
from addersim.quantization.rules import Quantization
from addersim.tabular import Listed
from addersim.trace import Convention, LayerTrace, MatrixWork, Operand, Trace, find_convention

__all__ = ["Topology", "TopologyLayer", "load_topology", "topology_trace"]

MAX_LAYERS = 10_000
MAX_SIZE = 10**8
MAX_SIDE = 1 << 20

_SIZES = ("IFMAP Height", "IFMAP Width", "Filter Height", "Filter Width", "Channels", "Num Filter", "Strides")
CONVOLUTION = ("Layer name", *_SIZES)
PRODUCT = ("Layer name", "M", "N", "K")
_SAME = {"layer": "layername", "numfilters": "numfilter", "stride": "strides", "strideheight": "strides", "batch": "batchsize"}
_SAME |= {"sparsityratio": "sparsity"}


@dataclass(frozen=True, slots=True)
class TopologyLayer:
    """One line: its name, its matrix products, and the words of its input."""

    name: str
    work: MatrixWork
    input_words: int


@dataclass(frozen=True, slots=True, repr=False)
class Topology(Listed):
    """A topology file."""

    name: str
    layers: tuple[TopologyLayer, ...] = field(default_factory=tuple)

    def table(self) -> list[dict[str, Any]]:
        """One row a layer: its name, and the matrix work that it is."""
        works = [(one.name, one.work) for one in self.layers]
        return [
            {"layer": name, "pixels": work.pixels, "window": work.window, "filters": work.filters, "groups": work.groups}
            for name, work in works
        ]

    def _title(self) -> str:
        return self.name


def load_topology(path: str | os.PathLike[str]) -> Topology:
    """Read a topology file, of convolutions or matrix products as its first line says.

    Raises
    ------
    ConfigError
        A column or number that is missing or wrong, with file, line and column; a filter larger than its input; sparsity.

    Warns
    -----
    AddersimWarning
        A column of another name than the one that SCALE-Sim reads at its place.
    """
    return parse_topology(read_text(path), Path(source(path)).stem, source(path))


def parse_topology(text: str, name: str, where: str) -> Topology:
    """Read a topology.

    Examples
    --------
    >>> text = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\\n"
    >>> work = parse_topology(text + "conv1, 34, 34, 3, 3, 3, 16, 1,\\n", "net", "net.csv").layers[0].work
    >>> work.pixels, work.window, work.filters
    (1024, 27, 16)
    """
    ends = text.replace("\r\n", "\n").replace("\r", "\n")  # spreadsheets may write each
    lines = [(number, line.split(",")) for number, line in enumerate(ends.split("\n"), 1) if line.strip(" \t,")]
    if not lines:
        raise ConfigError(f"{where}: empty; expected SCALE-Sim's columns {', '.join(CONVOLUTION)}, or {', '.join(PRODUCT)}")
    if len(lines) - 1 > MAX_LAYERS:
        raise ConfigError(f"{where}: {len(lines) - 1:,} layers; at most {MAX_LAYERS:,} are read")
    columns = _columns(lines[0][1], f"{where}: line {lines[0][0]}")
    layers: dict[str, TopologyLayer] = {}
    for number, fields in lines[1:]:
        row = _Row(f"{where}: line {number}", columns, [one.strip() for one in fields])
        layer = row.layer(len(layers), taken=layers)
        layers[layer.name] = layer
    if not layers:
        raise ConfigError(f"{where}: no layers below the line of column names")
    return Topology(name, tuple(layers.values()))


def topology_trace(
    topology: Topology,
    datapath: str = "mac",
    rules: Quantization = Quantization(),  # noqa: B008  # frozen
    convention: str = "hardware",
) -> Trace:
    """Facts of a topology whose layers all run on one circuit.

    Inputs are unsigned codes (as behind ReLU), of the widths that the rules give to each layer by its name. Weights are
    signed, or unsigned where clipping brings those of an adder layer into its input's range. Outputs have the width of
    activations.

    Raises
    ------
    FormatError
        No such datapath.
    ConfigError
        A layer that the rules name is not in the topology.
    NetworkError
        No such convention; an accumulator that promises to be exact and is too narrow.
    """
    check_kind(topology, Topology, "topology_trace: topology")
    datapath = find_datapath(datapath).name
    billed = find_convention(convention)
    known = [layer.name for layer in topology.layers]
    if unknown := sorted(set(rules.layers) - set(known)):
        first = f"{', '.join(known[:10])}{', ...' * (len(known) > 10)}{did_you_mean(unknown[0], known)}"
        raise ConfigError(f"layers.{unknown[0]}: no such layer; known: {first}")
    rules = rules.for_windows(known)
    layers = tuple(_layer_trace(layer, datapath, rules, billed) for layer in topology.layers)
    return Trace(topology.name, billed, layers)


def _layer_trace(layer: TopologyLayer, datapath: str, rules: Quantization, convention: Convention) -> LayerTrace:
    record, work = find_datapath(datapath), layer.work
    inputs = FixedFormat(rules.activation_bits_of(layer.name, record.arithmetic.name), signed=False)
    bits = rules.weight_bits_of(layer.name, record.arithmetic.name)
    if record.arithmetic.shared_scale:
        constants = FixedFormat(bits, not rules.clips(record.arithmetic.name), inputs.scale * 2.0 ** (inputs.bits - bits))
    else:
        constants = record.arithmetic.codec.format(bits)
    one_filter = IntegerWindow(  # knows the widths of operands and register
        name=layer.name,
        inputs=("input",),
        twin=None,
        datapath=datapath,
        weights=np.zeros((1, 1, 1, work.window), constants.dtype),
        input_format=inputs,
        weight_format=constants,
        accumulator=rules.accumulator,
    )
    operand_bits, accumulator_bits = one_filter.operand_bits(), one_filter.accumulator_bits()
    hardware, paper = (
        record.bill(work.taps, operand_bits, accumulator_bits, work.window),
        record.paper_bill(work.taps, operand_bits),
    )
    return LayerTrace(
        name=layer.name,
        kind="window",
        datapath=datapath,
        operations=hardware if convention == "hardware" else paper,
        inputs=(Operand(layer.input_words, inputs.bits),),
        output=Operand(work.pixels * work.filters * work.groups, rules.activation_bits),
        weights=Operand(work.window * work.filters * work.groups, bits),
        work=work,
        accumulator_bits=accumulator_bits,
        operand_bits=operand_bits,
        sources=(-1,),
    )


def _columns(fields: Sequence[str], where: str) -> dict[str, int]:
    """Place of each column by its plain name: SCALE-Sim's own as it reads them, those behind them by what they are called."""
    if len(fields) == 1 and ";" in fields[0]:
        raise ConfigError(f"{where}: found semicolons between columns; SCALE-Sim's topologies have commas")
    if len(fields) > 1 and all(re.fullmatch(r"\s*[0-9]*\s*", one) for one in fields[1:]):
        raise ConfigError(
            f"{where}: found {', '.join(one.strip() for one in fields)[:60]!r}, which names no columns; SCALE-Sim skips the "
            f"first line, so that this layer would be lost: put a line above it that names them: {', '.join(CONVOLUTION)}"
        )
    names = [_plain(one) for one in fields]
    expected = PRODUCT if {"m", "n", "k"} & set(names[1:4]) else CONVOLUTION
    own = {_plain(column): place for place, column in enumerate(expected)}
    found = [one.strip()[:40] for one in fields[: len(expected)]] + [""] * (len(expected) - len(fields))
    others = [
        f"column {place + 1} is called {found[place]!r} and read as {column!r}"
        for place, column in enumerate(expected)
        if place and _plain(found[place]) != _plain(column)
    ]
    if others:
        more = f" (and {len(others) - 1} more)" if len(others) > 1 else ""
        warn(f"{where}: {others[0]}{more}: columns count by their place, as in SCALE-Sim", AddersimWarning, stacklevel=2)
    behind = list(enumerate(names))[len(expected) :]
    return {name: place for place, name in reversed(behind) if name} | own


def _plain(name: str) -> str:
    letters = re.sub(r"[^a-z]", "", name.lower())
    return _SAME.get(letters, letters)


@dataclass(frozen=True, slots=True)
class _Row:
    where: str
    columns: Mapping[str, int]
    fields: Sequence[str]

    def layer(self, place: int, taken: Mapping[str, object]) -> TopologyLayer:
        self._check_plain()
        title = printable(self.fields[0]) or f"layer{place}"
        name = next(one for one in _numbered(title) if one not in taken)
        return self._product(name) if "m" in self.columns else self._convolution(name)

    def _product(self, name: str) -> TopologyLayer:
        m, n, k = (self.number(column, MAX_SIZE) for column in ("M", "N", "K"))
        self._check_work(k, m * n)
        work = MatrixWork(m, k, n, geometry=Geometry((1, 1)), image=(m, 1))  # as a 1 x 1 convolution of k channels
        return TopologyLayer(name, work, m * k)

    def _convolution(self, name: str) -> TopologyLayer:
        height, width, kernel_height, kernel_width, channels, filters, stride = map(self.number, _SIZES)
        stride_width = self.number("Stride Width") if self._text("Stride Width") else stride
        for what, kernel, size in (("height", kernel_height, height), ("width", kernel_width, width)):
            if kernel > size:
                raise ConfigError(
                    f"{self.where}: layer {name}: a filter of {what} {kernel} is larger than the IFMAP's {what} {size} "
                    "(which includes the padding)"
                )
        rows, columns = -(-(height - kernel_height) // stride) + 1, -(-(width - kernel_width) // stride_width) + 1
        groups, window = (channels, 1) if "DP" in name else (1, channels)
        self._check_work(kernel_height * kernel_width * window, rows * columns * filters * groups)
        work = MatrixWork(
            pixels=rows * columns,
            window=kernel_height * kernel_width * window,
            filters=filters,
            groups=groups,
            geometry=Geometry((kernel_height, kernel_width), (stride, stride_width), groups=groups),
            image=((rows - 1) * stride + kernel_height, (columns - 1) * stride_width + kernel_width),  # all that windows reach
        )
        return TopologyLayer(name, work, height * width * channels)

    def _check_work(self, taps: int, outputs: int) -> None:
        try:
            check_work(taps, outputs)
        except NetworkError as error:
            raise ConfigError(f"{self.where}: {error}") from None

    def _check_plain(self) -> None:
        """Refuse what would change the counts: sparse layers, and batches that stand in the file."""
        ratio = next((one for one in self.fields[1:] if re.fullmatch(r"[0-9]+\s*:\s*[0-9]+", one)), "1:1")
        if len({part.strip() for part in ratio.split(":")}) > 1:
            raise ConfigError(f"{self.where}: sparsity {ratio} is not supported; only dense layers (1:1)")
        if self._text("Batch Size") not in ("", "1"):
            raise ConfigError(f"{self.where}: batch size {self._text('Batch Size')!r}; only 1, give a batch as an option")

    def _text(self, column: str) -> str:
        place = self.columns.get(_plain(column))
        return self.fields[place] if place is not None and place < len(self.fields) else ""

    def number(self, column: str, most: int = MAX_SIDE) -> int:
        """A whole number, at least 1."""
        if not (text := self._text(column)):
            alone = "; commas separate fields, and comments stand behind the last one" if len(self.fields) == 1 else ""
            raise ConfigError(f"{self.where}: column {column!r} is missing; found {len(self.fields)} fields{alone}")
        return Limit(1, most).read(text, f"{self.where}: column {column!r}")


def _numbered(title: str) -> Iterator[str]:
    """A title, then the same with numbers: SCALE-Sim allows one name twice."""
    yield title
    for number in range(2, MAX_LAYERS + 2):
        yield f"{title}.{number}"
