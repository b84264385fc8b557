"""What runs on a GPU, as far as it goes without one: which tile is taken, what is passed, where the fallback steps in."""

import contextlib
import ctypes
import sys
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from addersim.train.cuda import device  # noqa: E402
from addersim.train.cuda.launch import Launch  # noqa: E402


def launches_of(*names, sizes=(4,)):
    return [Launch(name, (2, 3), 128, (torch.zeros(4), *sizes)) for name in names]


@pytest.fixture
def gpu(monkeypatch):
    """A device that keeps what is launched, and times kernels by the number in their names."""
    device._fastest.cache_clear()
    ran = SimpleNamespace(launched=[], timed=[], is_capturing=False)

    def milliseconds(one, index):
        ran.timed.append(one.kernel)
        return float(one.kernel[1:])

    monkeypatch.setattr(torch.cuda, "device", lambda index: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: ran.is_capturing)
    monkeypatch.setattr(device, "_launch", lambda one, index: ran.launched.append(one.kernel))
    monkeypatch.setattr(device, "_milliseconds", milliseconds)
    yield ran
    device._fastest.cache_clear()


def test_the_fastest_tile_is_found_once_for_each_size(gpu):
    for sizes in ((4,), (4,), (5,)):
        device.run(launches_of("k3", "k1", "k2", sizes=sizes))
    assert gpu.launched == ["k1"] * 3
    assert gpu.timed == ["k3", "k1", "k2"] * 2
    device.run(launches_of("k5", "k4", sizes=(4,)))  # kernels for other types
    assert gpu.launched[-1] == "k4"


def test_a_single_kernel_is_not_timed(gpu):
    device.run(launches_of("k7"))
    assert (gpu.launched, gpu.timed) == (["k7"], [])


def test_nothing_is_timed_while_a_graph_is_captured(gpu):
    gpu.is_capturing = True
    device.run(launches_of("k3", "k1"))
    assert (gpu.launched, gpu.timed) == (["k3"], [])
    gpu.is_capturing = False
    device.run(launches_of("k3", "k1"))
    gpu.is_capturing = True
    device.run(launches_of("k3", "k1"))
    assert gpu.launched == ["k3", "k1", "k1"]  # what was found before is taken
    assert gpu.timed == ["k3", "k1"]


@pytest.fixture
def core(monkeypatch):
    """A cuda-core that keeps what is launched, and how often it made something for that."""
    seen = SimpleNamespace(launched=[], made=[])

    class Device:
        def __init__(self, index):
            seen.made.append(f"device {index}")
            self.index = index

        def set_current(self):
            seen.current = self.index

    class Stream:
        @staticmethod
        def from_handle(handle):
            seen.made.append(f"stream {handle}")
            return f"stream {handle}"

    def config(**options):
        seen.made.append("config")
        return options

    def launch(stream, config, kernel, *arguments):
        seen.launched.append((seen.current, stream, config, kernel, arguments))

    core = SimpleNamespace(Device=Device, Stream=Stream, LaunchConfig=config, launch=launch)
    monkeypatch.setitem(sys.modules, "cuda", SimpleNamespace(core=core))
    monkeypatch.setitem(sys.modules, "cuda.core", core)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda index: SimpleNamespace(cuda_stream=100 + index))
    kept = device._launcher, device._stream, device._config
    for one in kept:
        one.cache_clear()
    yield seen
    for one in kept:
        one.cache_clear()


def test_a_kernel_goes_to_the_current_stream_with_its_operands(core):
    (one,) = launches_of("k1", sizes=(-3,))
    device.launch_kernel("compiled", one, 1)
    operands = one.arguments[0].data_ptr(), np.int32(-3)
    assert core.launched == [(1, "stream 101", {"grid": (2, 3), "block": 128}, "compiled", operands)]


def test_what_launches_need_is_made_once(core):
    one, other = launches_of("k1", "k2")
    for index in (0, 1, 0):
        device.launch_kernel("compiled", one, index)
        device.launch_kernel("compiled", other, index)
    assert [(where, stream) for where, stream, *_ in core.launched][::2] == [
        (0, "stream 100"),
        (1, "stream 101"),
        (0, "stream 100"),
    ]
    assert sorted(core.made) == ["config", "device 0", "device 1", "stream 100", "stream 101"]


def test_arguments_are_addresses_and_numbers_of_32_bits():
    tensor, (one,) = torch.zeros(3), launches_of("k1", sizes=(-3, 2**31 - 1))
    address, *numbers = device.arguments(Launch(one.kernel, one.grid, one.threads, (tensor, -3, 2**31 - 1)))
    assert (address, type(address)) == (tensor.data_ptr(), int)
    assert [(int(number), number.dtype) for number in numbers] == [(-3, np.int32), (2**31 - 1, np.int32)]
    holder = pytest.importorskip("cuda.core._kernel_arg_handler", reason="cuda-core is not installed")
    held = holder.ParamHolder([address, *numbers])
    places = (ctypes.c_void_p * 3).from_address(held.ptr)
    assert ctypes.c_uint64.from_address(places[0]).value == tensor.data_ptr()
    assert [ctypes.c_int32.from_address(place).value for place in places[1:]] == [-3, 2**31 - 1]


@pytest.mark.parametrize(
    ("kind", "capability", "compiler", "driver", "usable"),
    [
        ("cuda", (8, 0), 13, 13, True),
        ("cuda", (12, 0), 12, 13, True),
        ("cuda", (7, 5), 13, 13, False),
        ("cuda", (9, 0), 0, 13, False),
        ("cuda", (9, 0), 13, 12, False),  # a driver that does not load what the compiler makes
        ("cpu", (8, 0), 13, 13, False),
    ],
)
def test_where_these_kernels_are_taken(monkeypatch, kind, capability, compiler, driver, usable):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    monkeypatch.setattr(device, "compiler_version", lambda: compiler)
    monkeypatch.setattr(device, "_driver_version", lambda: driver)
    assert device.is_usable(torch.device(kind)) == usable


def test_without_cuda_core_there_is_no_compiler(monkeypatch):
    monkeypatch.setitem(sys.modules, "cuda.core", None)
    assert device.compiler_version.__wrapped__() == 0


def test_versions_of_compiler_and_driver(monkeypatch):
    def missing():
        raise RuntimeError("libnvrtc.so.13 was not found")

    nvrtc, driver = SimpleNamespace(nvrtcVersion=missing), SimpleNamespace(cuDriverGetVersion=lambda: (0, 13010))
    bindings, core = SimpleNamespace(nvrtc=nvrtc, driver=driver), SimpleNamespace(Program=None)
    monkeypatch.setitem(sys.modules, "cuda", SimpleNamespace(core=core, bindings=bindings))
    monkeypatch.setitem(sys.modules, "cuda.core", core)
    monkeypatch.setitem(sys.modules, "cuda.bindings", bindings)
    assert device.compiler_version.__wrapped__() == 0
    nvrtc.nvrtcVersion = lambda: (0, 13, 5)
    assert device.compiler_version.__wrapped__() == 13
    nvrtc.nvrtcVersion = lambda: (1, 0, 0)
    assert device.compiler_version.__wrapped__() == 0
    assert device._driver_version.__wrapped__() == 13
    driver.cuDriverGetVersion = lambda: (3, 0)
    assert device._driver_version.__wrapped__() == 0
