"""addersim: bit-exact fixed-point simulation and cost estimation for AdderNets and their multiplying rivals.

    torch net --lower--> Network --quantize--> Program --simulate / count--> Trace --estimate--> Cost --report--> html, csv

Importing this package loads nothing heavy; each public name loads its module when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from addersim.arithmetic.datapaths import DATAPATHS, Datapath
    from addersim.arithmetic.fixed import Accumulator, FixedFormat
    from addersim.arithmetic.ops import OpCounts
    from addersim.datasets.registry import load as load_images
    from addersim.errors import AddersimError
    from addersim.exploration.bit_search import BitSearch, search_bits
    from addersim.exploration.sweeps.run import Sweep, sweep
    from addersim.exploration.sweeps.study import Study, load_study
    from addersim.frontends.onnx.lower import lower_onnx
    from addersim.frontends.scalesim.topology import Topology, load_topology, topology_trace
    from addersim.frontends.torch.lower import lower
    from addersim.hardware.accelerator import Accelerator
    from addersim.hardware.area import Area, estimate_area
    from addersim.hardware.estimate import Cost, estimate
    from addersim.hardware.load import load_accelerator
    from addersim.hardware.prices.csv_file import load_table as load_energy_table
    from addersim.hardware.prices.table import EnergyTable
    from addersim.hardware.table_range import EnergyRange, estimate_range
    from addersim.model_zoo import bundled_networks, load_network
    from addersim.network import Network
    from addersim.program import Program
    from addersim.quantization.pipeline import quantize
    from addersim.quantization.rules import LayerBits, Quantization
    from addersim.report import write_report
    from addersim.results.comparison import Comparison, compare
    from addersim.results.result import Result, evaluate
    from addersim.simulation import Simulation, count, simulate
    from addersim.trace import Trace

try:
    __version__ = version("addersim")
except PackageNotFoundError:  # a source tree on the path that was never installed
    __version__ = "0+unknown"

_PLACES = {
    "DATAPATHS": "arithmetic.datapaths",
    "Accelerator": "hardware.accelerator",
    "Accumulator": "arithmetic.fixed",
    "AddersimError": "errors",
    "Area": "hardware.area",
    "BitSearch": "exploration.bit_search",
    "Comparison": "results.comparison",
    "Cost": "hardware.estimate",
    "Datapath": "arithmetic.datapaths",
    "EnergyRange": "hardware.table_range",
    "EnergyTable": "hardware.prices.table",
    "FixedFormat": "arithmetic.fixed",
    "LayerBits": "quantization.rules",
    "Network": "network",
    "OpCounts": "arithmetic.ops",
    "Program": "program",
    "Quantization": "quantization.rules",
    "Result": "results.result",
    "Simulation": "simulation",
    "Study": "exploration.sweeps.study",
    "Sweep": "exploration.sweeps.run",
    "Topology": "frontends.scalesim.topology",
    "Trace": "trace",
    "bundled_networks": "model_zoo",
    "compare": "results.comparison",
    "count": "simulation",
    "estimate": "hardware.estimate",
    "evaluate": "results.result",
    "estimate_area": "hardware.area",
    "estimate_range": "hardware.table_range",
    "load_accelerator": "hardware.load",
    "load_energy_table": "hardware.prices.csv_file",
    "load_images": "datasets.registry",
    "load_network": "model_zoo",
    "load_study": "exploration.sweeps.study",
    "load_topology": "frontends.scalesim.topology",
    "lower": "frontends.torch.lower",
    "lower_onnx": "frontends.onnx.lower",
    "quantize": "quantization.pipeline",
    "search_bits": "exploration.bit_search",
    "simulate": "simulation",
    "sweep": "exploration.sweeps.run",
    "topology_trace": "frontends.scalesim.topology",
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
