"""The public names, one a line: the only list of them. Type checkers read it, and `addersim.__init__` where each name is."""

from addersim import figures as figures
from addersim import nn as nn
from addersim.arithmetic.datapaths import DATAPATHS as DATAPATHS
from addersim.arithmetic.datapaths import Datapath as Datapath
from addersim.arithmetic.fixed import Accumulator as Accumulator
from addersim.arithmetic.fixed import FixedFormat as FixedFormat
from addersim.arithmetic.multiplier import MultiplierTable as MultiplierTable
from addersim.arithmetic.multiplier_files import load_multiplier as load_multiplier
from addersim.arithmetic.ops import OpCounts as OpCounts
from addersim.certificate.prove import Certificate as Certificate
from addersim.certificate.prove import prove as prove
from addersim.datasets.records import Images as Images
from addersim.datasets.registry import load as _load_images
from addersim.errors import AddersimError as AddersimError
from addersim.exploration.bit_search import BitSearch as BitSearch
from addersim.exploration.bit_search import search_bits as search_bits
from addersim.exploration.sweeps.designs import sweep_designs as sweep_designs
from addersim.exploration.sweeps.run import Sweep as Sweep
from addersim.exploration.sweeps.run import sweep as sweep
from addersim.exploration.sweeps.study import Study as Study
from addersim.exploration.sweeps.study import load_study as load_study
from addersim.frontends.onnx.lower import lower_onnx as lower_onnx
from addersim.frontends.onnx.writing.export import export_onnx as export_onnx
from addersim.frontends.scalesim.topology import Topology as Topology
from addersim.frontends.scalesim.topology import load_topology as load_topology
from addersim.frontends.scalesim.topology import topology_trace as topology_trace
from addersim.frontends.tflite.lower import lower_tflite as lower_tflite
from addersim.frontends.torch.lower import lower as lower
from addersim.hardware.accelerator import Accelerator as Accelerator
from addersim.hardware.area import Area as Area
from addersim.hardware.area import estimate_area as estimate_area
from addersim.hardware.designs.design_costs import DesignCosts as DesignCosts
from addersim.hardware.designs.design_grid import design_grid as design_grid
from addersim.hardware.designs.estimate_designs import estimate_designs as estimate_designs
from addersim.hardware.estimate import Cost as Cost
from addersim.hardware.estimate import estimate as estimate
from addersim.hardware.load import load_accelerator as load_accelerator
from addersim.hardware.prices.csv_file import load_table as _load_energy_table
from addersim.hardware.prices.table import EnergyTable as EnergyTable
from addersim.hardware.table_range import EnergyRange as EnergyRange
from addersim.hardware.table_range import estimate_range as estimate_range
from addersim.model_zoo import bundled_networks as bundled_networks
from addersim.model_zoo import load as load
from addersim.model_zoo import load_network as load_network
from addersim.network import Network as Network
from addersim.program import Program as Program
from addersim.quantization.pipeline import quantize as quantize
from addersim.quantization.rules import LayerBits as LayerBits
from addersim.quantization.rules import Quantization as Quantization
from addersim.report import write_report as write_report
from addersim.results.comparison import Comparison as Comparison
from addersim.results.comparison import compare as compare
from addersim.results.reasons import reasons as reasons
from addersim.results.result import Result as Result
from addersim.results.result import evaluate as evaluate
from addersim.results.rounding import RoundingComparison as RoundingComparison
from addersim.results.rounding import compare_rounding as compare_rounding
from addersim.simulation import Simulation as Simulation
from addersim.simulation import count as count
from addersim.simulation import simulate as simulate
from addersim.trace import Trace as Trace
from addersim.twins import twin as twin

load_energy_table = _load_energy_table
load_images = _load_images
__version__: str
