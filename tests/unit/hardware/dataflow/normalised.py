"""Mappings of rows by the normalised costs of Eyeriss (ISCA 2016, from a 65 nm process): with a 16-bit multiply-accumulate
as 1, a
scratchpad access costs 1, a word on the array's network 2, a buffer access 6, a DRAM access 200."""

from dataclasses import dataclass

import numpy as np

from addersim.hardware.dataflow.row_stationary import RowShape, count_rows, fetched
from addersim.hardware.traffic import Widths

RELATIVE_COST = {"register": 1, "network": 2, "buffer": 6, "dram": 200}


@dataclass
class Normalised:
    """Costs of mappings of a shape, in proportion to the operands' widths."""

    shape: RowShape
    widths: Widths
    objective: str = "energy-delay"
    input_on_chip: bool = False
    pipelined: bool = False

    def values(self, mapping, exact=True):
        counts, widths = count_rows(self.shape, mapping), self.widths
        received = counts.network_inputs * widths.input + counts.network_weights * widths.weight
        inputs, weights = fetched(self.shape, mapping)
        dram = (0 if self.input_on_chip else inputs * widths.input) + weights * widths.weight
        bits = {
            "register": received + self.shape.taps * (widths.input + widths.weight + 2 * widths.partial_sum),
            "network": received + counts.network_sums * widths.partial_sum,
            "buffer": counts.input_reads * widths.input + counts.weight_reads * widths.weight
            + 2 * counts.partial_sums * widths.partial_sum + dram,
            "dram": dram,
        }  # fmt: skip
        energy = sum(RELATIVE_COST[level] * moved for level, moved in bits.items())
        cycles = np.asarray(counts.cycles)
        first = {"energy-delay": energy * cycles, "energy": energy, "latency": cycles, "dram": dram}[self.objective]
        return np.stack(np.broadcast_arrays(*(np.asarray(one, float) for one in (first, energy * cycles, energy, cycles))))
