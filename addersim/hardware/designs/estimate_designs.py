"""estimate_designs: a network on many designs, as arrays."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from addersim.errors import HardwareError
from addersim.hardware.accelerator import Accelerator, Objective
from addersim.hardware.designs.arrays_in_batch import MemorySystems
from addersim.hardware.designs.in_batch import in_batch, table_in_batch
from addersim.hardware.designs.memory_systems import MemoryWay, Priced, memory_ways, of_one_bit_a_cycle
from addersim.hardware.estimate import estimate
from addersim.hardware.load import load_accelerator
from addersim.hardware.prices.csv_file import load_table
from addersim.hardware.prices.multipliers import check_energy_stated, with_multiplier
from addersim.hardware.prices.operations import operation_energies
from addersim.hardware.prices.table import EnergyTable
from addersim.hardware.schedule import schedule
from addersim.trace import Trace

