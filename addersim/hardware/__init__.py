"""Cost models: facts (a Trace) in, energy and latency (a Cost) out. They know operations, words and bits, no layer kinds."""

from addersim.hardware.accelerator import Accelerator
from addersim.hardware.area import Area, estimate_area
from addersim.hardware.cost import Cost
from addersim.hardware.dataflow.systolic import systolic_cycles
from addersim.hardware.estimate import estimate
from addersim.hardware.layer_cost import EnergyPart, LayerCost, UnitEnergy
from addersim.hardware.load import accelerator_names, load_accelerator
from addersim.hardware.prices.csv_file import load_table, parse_table, table_names
from addersim.hardware.prices.operations import arithmetic_energy
from addersim.hardware.prices.scaling import scale_table
from addersim.hardware.prices.table import EnergyTable
from addersim.hardware.sizing import Aim, fit_area, fit_elements, fit_throughput
from addersim.hardware.table_range import EnergyRange, estimate_range
from addersim.hardware.traffic import Access

Price = UnitEnergy  # its name until now

__all__ = [
    "Accelerator",
    "Access",
    "Aim",
    "Area",
    "Cost",
    "EnergyPart",
    "EnergyRange",
    "EnergyTable",
    "LayerCost",
    "Price",
    "UnitEnergy",
    "accelerator_names",
    "arithmetic_energy",
    "estimate",
    "estimate_area",
    "estimate_range",
    "fit_area",
    "fit_elements",
    "fit_throughput",
    "load_accelerator",
    "load_table",
    "parse_table",
    "scale_table",
    "systolic_cycles",
    "table_names",
]
