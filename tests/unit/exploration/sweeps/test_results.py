"""What a row says of the registers of all window layers, by hand."""

from dataclasses import replace

from addersim.exploration.sweeps.job_files import Simulated
from addersim.exploration.sweeps.results import _register
from addersim.trace import Observed, Trace
from tests.unit.hardware.traces import relu, window


def test_registers_of_all_windows_count_together():
    """One of 10 sums and two of 30 left their registers; the widest one and the largest need decide the two widths."""
    layers = (
        replace(window("a", 5, 9, 2, inputs=45, accumulator_bits=12), observed=Observed(-9, 9, 1, 10, 14)),
        relu("r", 10),
        replace(window("b", 5, 9, 6, inputs=45, accumulator_bits=16), observed=Observed(-9, 9, 2, 30, 11)),
    )
    trace = Trace("t", "hardware", layers, images=1)
    found = _register(Simulated(accuracy_float=0.1, accuracy=0.2, agreement=0.3, images=1, trace=trace))
    assert found == {"accumulator_bits": 16, "accumulator_bits_needed": 14, "overflowed_share": 3 / 40}
