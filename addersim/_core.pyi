from typing import Any

import numpy.typing as npt

_Array = npt.NDArray[Any]
_Numbers = tuple[int, ...]
_Seen = tuple[int, int, int]

def instruction_sets() -> tuple[str, ...]: ...
def arithmetics() -> tuple[str, ...]: ...
def numbers() -> dict[str, dict[str, int]]: ...
def default_threads() -> int: ...
def l1_ceiling(steps: int, kernels: int) -> int: ...
def forward(
    x: _Array, weights: _Array, y: _Array, geometry: _Numbers, arithmetic: int, paired: bool, kernels: int, threads: int
) -> None: ...
def l1_input_gradient(
    gradient: _Array, x: _Array, weights: _Array, out: _Array, geometry: _Numbers, kernels: int, threads: int
) -> None: ...
def l1_sign_filter_gradient(
    gradient: _Array, x: _Array, weights: _Array, out: _Array, geometry: _Numbers, kernels: int, threads: int
) -> None: ...
def power_forward(x: _Array, w: _Array, power: float, y: _Array, kernels: int, threads: int) -> None: ...
def power_input_gradient(
    gradient: _Array, x: _Array, w: _Array, power: float, out: _Array, kernels: int, threads: int
) -> None: ...
def power_filter_gradient(
    gradient: _Array, x: _Array, w: _Array, power: float, out: _Array, kernels: int, threads: int
) -> None: ...
def window_bounds(
    weights: _Array,
    weights_type: int,
    arithmetic: int,
    taps: int,
    x_low: int,
    x_high: int,
    low: _Array,
    high: _Array,
    kernels: int,
) -> None: ...

class Chain:
    bytes: int
    def __init__(
        self,
        steps: list[tuple[int, object, tuple[int, ...], int]],
        values: list[tuple[int, int, int, int, bool]],
        together: int,
        image_bytes: int,
        kernels: int,
    ) -> None: ...
    def run(
        self, arrays: list[_Array | None], images: int, memory: _Array
    ) -> tuple[list[tuple[_Seen, _Seen]], list[tuple[int, int, tuple[int, ...]] | None]]: ...

class WindowPlan:
    def __init__(
        self,
        x_type: int,
        ends: tuple[int, int],
        weights: _Array,
        weights_type: int,
        y_bytes: int,
        geometry: _Numbers,
        arithmetic: int,
        products: _Array | None,
        zero_points: tuple[int, int, _Array | None],
        register: tuple[int, int, int, int],
        narrow: bool,
        ordered: _Array | None,
        affine: tuple[_Array, bool, _Numbers] | None,
        rescaling: tuple[tuple[int, _Array, _Array, float, int, _Numbers], bool] | None,
        kernels: int,
        threads: int,
    ) -> None: ...
    def run(self, x: _Array, y: _Array, images: int, threads: int) -> tuple[_Seen, _Seen]: ...

def scaled(multiplier: _Array, addend: _Array, shift: _Array, rounding: int, doubles: _Array) -> None: ...
def affine(
    x: _Array,
    x_type: int,
    count: int,
    multiplier: _Array,
    addend: _Array,
    shift: _Array,
    rounding: int,
    doubles: bool,
    codes: _Numbers,
    y: _Array,
    kernels: int,
    threads: int,
) -> _Seen: ...
def add(
    a: _Array, a_type: int, b: _Array | None, b_type: int, count: int, codes: _Numbers, y: _Array, kernels: int, threads: int
) -> _Seen: ...
def rescale(
    x: _Array,
    x_type: int,
    count: int,
    formula: int,
    constants: _Array,
    factor: _Array,
    divisor: float,
    zero_point: int,
    codes: _Numbers,
    y: _Array,
    kernels: int,
    threads: int,
) -> tuple[_Seen, bool]: ...
def rescaled_add(
    a: _Array,
    a_type: int,
    b: _Array,
    b_type: int,
    count: int,
    numbers: tuple[int, tuple[int, int, int], int, _Array, _Array, bool, _Numbers],
    y: _Array,
    kernels: int,
    threads: int,
) -> _Seen: ...
def real_means(
    x: _Array,
    geometry: _Numbers,
    reals: _Array,
    divisors: _Array,
    scale: float,
    zero_point: float,
    by_columns: bool,
    y: _Array,
    threads: int,
) -> None: ...
def softmax(x: _Array, is_signed: bool, multiplier: int, left: int, most: int, y: _Array, threads: int) -> None: ...
def pool(
    x: _Array, x_type: int, y: _Array, geometry: _Numbers, maximum: bool, wide: bool, kernels: int, threads: int
) -> None: ...
def look_up(x: _Array, levels: _Array, level_bytes: int, y: _Array, threads: int) -> None: ...
def run_gates(
    nets: int,
    gate_table: _Array,
    gate_pins: _Array,
    gate_delay: _Array,
    gate_net: _Array,
    flop_table: _Array,
    flop_pins: _Array,
    reader_start: _Array,
    readers: _Array,
    sources: _Array,
    source_inverted: _Array,
    slots: int,
    stimulus: _Array,
    probes: _Array,
    probed: _Array,
    toggles: _Array,
    settled: _Array,
) -> int: ...
def weighed_bits(bytes: _Array, weights: _Array, counts: _Array) -> None: ...
def weighed_changes(bytes: _Array, counted: _Array, weights: _Array, counts: _Array) -> None: ...
def weighed_zeros(bytes: _Array, weights: _Array) -> int: ...
def zero_runs(
    codes: _Array, code_type: int, images: int, words: int, zero: int, kernels: int
) -> tuple[int, int, _Numbers]: ...
def interleave(x: _Array, y: _Array, kernels: int) -> None: ...
