"""What a sweep keeps of each job: its key, which is everything that determines it, and its outcome."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar, cast

import msgspec
from msgspec import Struct

from addersim.arithmetic.datapaths import DATAPATHS
from addersim.arithmetic.ops import OpCounts
from addersim.errors import AddersimError, out_of_memory
from addersim.quantization.rules import Circuit, Quantization
from addersim.trace import LayerTrace, Trace

__all__ = [
    "CostKey",
    "Failed",
    "Key",
    "Outcome",
    "Priced",
    "Simulated",
    "SimulationKey",
    "attempt",
    "decode",
    "digest",
    "encode",
    "with_circuit",
]

Result = TypeVar("Result")


class SimulationKey(Struct, frozen=True, forbid_unknown_fields=True, tag="simulation", kw_only=True):
    """What determines a simulation: SHA-256 of network, images, multiplier (None: exact) and code, and the rules."""

    network: str
    calibration_images: str
    test_images: str
    rules: Quantization
    multiplier: str | None = None
    code: str


class CostKey(Struct, frozen=True, forbid_unknown_fields=True, tag="cost", kw_only=True):
    """What determines a cost: the simulation behind the trace, the circuit, SHA-256 of accelerator, table and code."""

    simulation: str
    circuit: Circuit | None
    accelerator: str
    table: str
    batch: int
    code: str


class Simulated(Struct, frozen=True, forbid_unknown_fields=True, tag="simulated", kw_only=True):
    """What a simulation found. The trace is that of circuit 2a; `with_circuit` gives the others."""

    accuracy_float: float
    accuracy: float
    agreement: float
    images: int
    trace: Trace


class Priced(Struct, frozen=True, forbid_unknown_fields=True, tag="priced", kw_only=True):
    """What a trace costs: energies of one image; cycles and latency of a batch; area where its table has all circuits; and the
    energy of what is paid once, where weights then stay on chip."""

    energy_pj: float
    energy_pj_by_component: dict[str, float]
    cycles: int
    latency_ms: float
    taps: int
    area_mm2: float | None = None
    cold_start_pj: float | None = None


class Failed(Struct, frozen=True, forbid_unknown_fields=True, tag="failed", kw_only=True):
    """Why a job has no result, in one line."""

    error: str


def attempt(run: Callable[[], Result]) -> Result | Failed:
    """What a job gives, or why it gives nothing: the sweep goes on, and the point says what happened."""
    try:
        return run()
    except AddersimError as error:
        return Failed(error=" ".join(str(error).split()))
    except MemoryError as error:
        return Failed(error=out_of_memory(error))
    except Exception as error:
        return Failed(error=" ".join(f"{type(error).__name__}: {error}".split()))


Key = SimulationKey | CostKey
Outcome = Simulated | Priced | Failed


def encode(value: Any) -> bytes:
    """A key or outcome as JSON, always the same text for the same value."""
    return msgspec.json.encode(value, enc_hook=_plain, order="deterministic")


def decode(text: bytes | msgspec.Raw) -> Outcome:
    """An outcome from its JSON. Raises msgspec.ValidationError, or DecodeError where it is no JSON."""
    found: Outcome = msgspec.json.decode(text, type=Outcome, dec_hook=_rebuilt)
    return found


def digest(value: Any) -> str:
    """SHA-256 of a value's JSON."""
    return hashlib.sha256(encode(value)).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, OpCounts):
        return [[op, bits, number] for (op, bits), number in value.items()]
    raise TypeError(f"cannot store {type(value).__name__}")


def _rebuilt(wanted: Any, found: Any) -> Any:
    if wanted is OpCounts:
        return OpCounts([((op, bits), number) for op, bits, number in found])
    raise TypeError(f"cannot read {wanted}")


def with_circuit(trace: Trace, circuit: Circuit | None) -> Trace:
    """The trace of the same simulation where adder layers are another circuit: same numbers, another bill."""
    if circuit is None:
        return trace
    return replace(trace, layers=tuple(_rebilled(layer, f"l1-{circuit}") for layer in trace.layers))


def _rebilled(layer: LayerTrace, name: str) -> LayerTrace:
    if layer.work is None or layer.datapath is None or DATAPATHS[layer.datapath].arithmetic != DATAPATHS[name].arithmetic:
        return layer
    widths = cast("int", layer.operand_bits), layer.accumulator_bits or 0
    bill = DATAPATHS[name].bill(layer.work.taps, *widths, layer.work.window)
    return replace(layer, datapath=name, operations=bill)
