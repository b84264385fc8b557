"""addersim: bit-exact fixed-point simulation and cost estimation for AdderNets and their multiplying rivals.

    torch net --lower--> Network --quantize--> Program --simulate / count--> Trace --estimate--> Cost --report--> html, csv

Importing this package loads nothing heavy; each public name loads its module when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from addersim.bit_search import BitSearch, search_bits
    from addersim.comparison import Comparison, compare
    from addersim.datapaths import DATAPATHS, Datapath
    from addersim.datasets import load as load_images
    from addersim.errors import AddersimError
    from addersim.fixed import Accumulator, FixedFormat
    from addersim.hardware.accelerator import Accelerator, load_accelerator
    from addersim.hardware.area import Area, estimate_area
    from addersim.hardware.energy import EnergyTable
    from addersim.hardware.energy_file import load_table as load_energy_table
    from addersim.hardware.energy_range import EnergyRange, estimate_range
    from addersim.hardware.estimate import Cost, estimate
    from addersim.library import bundled_networks, load_network
    from addersim.network import Network
    from addersim.onnx_reader.lower import lower_onnx
    from addersim.ops import OpCounts
    from addersim.program import Program
    from addersim.quantization import LayerBits, Quantization
    from addersim.quantizer import quantize
    from addersim.report import write_report
    from addersim.scalesim import Topology, load_topology, topology_trace
    from addersim.simulation import Simulation, count, simulate
    from addersim.summary import Result, evaluate
    from addersim.sweeps.run import Sweep, sweep
    from addersim.sweeps.study import Study, load_study
    from addersim.trace import Trace
    from addersim.train.lower import lower

try:
    __version__ = version("addersim")
except PackageNotFoundError:  # a source tree on the path that was never installed
    __version__ = "0+unknown"

_PLACES = {
    "DATAPATHS": "datapaths",
    "Accelerator": "hardware.accelerator",
    "Accumulator": "fixed",
    "AddersimError": "errors",
    "Area": "hardware.area",
    "BitSearch": "bit_search",
    "Comparison": "comparison",
    "Cost": "hardware.estimate",
    "Datapath": "datapaths",
    "EnergyRange": "hardware.energy_range",
    "EnergyTable": "hardware.energy",
    "FixedFormat": "fixed",
    "LayerBits": "quantization",
    "Network": "network",
    "OpCounts": "ops",
    "Program": "program",
    "Quantization": "quantization",
    "Result": "summary",
    "Simulation": "simulation",
    "Study": "sweeps.study",
    "Sweep": "sweeps.run",
    "Topology": "scalesim",
    "Trace": "trace",
    "bundled_networks": "library",
    "compare": "comparison",
    "count": "simulation",
    "estimate": "hardware.estimate",
    "evaluate": "summary",
    "estimate_area": "hardware.area",
    "estimate_range": "hardware.energy_range",
    "load_accelerator": "hardware.accelerator",
    "load_energy_table": "hardware.energy_file",
    "load_images": "datasets",
    "load_network": "library",
    "load_study": "sweeps.study",
    "load_topology": "scalesim",
    "lower": "train.lower",
    "lower_onnx": "onnx_reader.lower",
    "quantize": "quantizer",
    "search_bits": "bit_search",
    "simulate": "simulation",
    "sweep": "sweeps.run",
    "topology_trace": "scalesim",
    "write_report": "report",
}
_RENAMED = {"load_energy_table": "load_table", "load_images": "load"}

__all__ = [
    "DATAPATHS",
    "Accelerator",
    "Accumulator",
    "AddersimError",
    "Area",
    "BitSearch",
    "Comparison",
    "Cost",
    "Datapath",
    "EnergyRange",
    "EnergyTable",
    "FixedFormat",
    "LayerBits",
    "Network",
    "OpCounts",
    "Program",
    "Quantization",
    "Result",
    "Simulation",
    "Study",
    "Sweep",
    "Topology",
    "Trace",
    "__version__",
    "bundled_networks",
    "compare",
    "count",
    "estimate",
    "estimate_area",
    "estimate_range",
    "evaluate",
    "load_accelerator",
    "load_energy_table",
    "load_images",
    "load_network",
    "load_study",
    "load_topology",
    "lower",
    "lower_onnx",
    "quantize",
    "search_bits",
    "simulate",
    "sweep",
    "topology_trace",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'addersim' has no attribute {name!r}")
    value = getattr(import_module(f"addersim.{_PLACES[name]}"), _RENAMED.get(name, name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
