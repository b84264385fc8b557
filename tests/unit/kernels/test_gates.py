"""Gates driven event by event: the compiled loop beside its slow twin, and what inertial delays do to pulses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addersim.errors import HardwareError
from addersim.kernels import reference_gates
from addersim.kernels.gates import GATE_INPUTS, GateNetlist, run_gates

NOT, AND, XOR, BUFFER = 0x5555555555555555, 0x8888888888888888, 0x6666666666666666, 0xAAAAAAAAAAAAAAAA


def netlist(gates, inputs, flops=(), nets=None):
    """Gates as (table, pins, delays); nets 2.. are the inputs, then registers, then the gates."""
    first = 2 + inputs + len(flops)
    padded = [
        ([*pins, *[0] * (GATE_INPUTS - len(pins))], [*delays, *[1] * (GATE_INPUTS - len(delays))]) for _, pins, delays in gates
    ]
    sources = np.arange(inputs + len(flops))
    return GateNetlist(
        nets=nets or first + len(gates),
        gate_table=np.array([table for table, _, _ in gates], np.uint64),
        gate_pins=np.array([pins for pins, _ in padded], np.int64).reshape(-1, GATE_INPUTS),
        gate_delay=np.array([delays for _, delays in padded], np.int64).reshape(-1, GATE_INPUTS),
        gate_net=first + np.arange(len(gates)),
        flop_table=np.full(len(flops), BUFFER, np.uint64),
        flop_pins=np.array([[net, 0, 0, 0, 0, 0] for net in flops], np.int64).reshape(-1, GATE_INPUTS),
        source_net=2 + sources,
        source_delay=1 + sources % 3,
        source_of=sources,
        source_inverted=np.zeros(len(sources), np.int64),
        inputs=inputs,
    )


@st.composite
def random_netlists(draw):
    inputs, flops, gates = draw(st.integers(1, 4)), draw(st.integers(0, 3)), draw(st.integers(1, 25))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    first = 2 + inputs + flops
    made = []
    for place in range(gates):
        pins = rng.integers(0, first + place, rng.integers(1, GATE_INPUTS + 1))
        made.append((int(rng.integers(0, 1 << 63)), pins.tolist(), rng.integers(1, 9, len(pins)).tolist()))
    return netlist(made, inputs, rng.integers(0, first + gates, flops).tolist()), rng.integers(0, 2, (12, inputs), np.uint8)


@settings(max_examples=60, deadline=None)
@given(random_netlists())
def test_the_compiled_events_are_those_of_the_slow_twin(drawn):
    gates, stimulus = drawn
    probes = np.arange(gates.nets)
    found, wanted = (engine(gates, stimulus, probes) for engine in (run_gates, reference_gates.run_gates))
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("engine", [run_gates, reference_gates.run_gates])
@pytest.mark.parametrize(("delay", "pulses"), [(2, 2), (5, 2), (6, 0), (9, 0)])
def test_a_pulse_shorter_than_a_gates_delay_vanishes_in_it(engine, delay, pulses):
    # x and its slow inverse meet in an and: a pulse of five steps
    made = netlist([(NOT, [2], [5]), (AND, [2, 3], [1, 1]), (BUFFER, [4], [delay])], 1)
    found = engine(made, np.array([[0], [1]], np.uint8), np.array([5]))
    assert found.toggles[4] == 2
    assert found.toggles[5] == pulses
    assert found.settled[5] == 0


def test_registers_load_what_had_settled_and_begin_at_zero():
    made = netlist([(XOR, [2, 3], [1, 1])], 1, flops=[4])  # q <= q ^ x
    stimulus = np.array([[1], [1], [0], [1], [1]], np.uint8)
    found = run_gates(made, stimulus, np.array([3]))
    assert found.probed[:, 0].tolist() == [0, 1, 0, 0, 1]


def test_a_netlist_that_contradicts_itself_is_refused():
    good = [(AND, [2, 3], [1, 1])]
    stimulus, probes = np.zeros((2, 2), np.uint8), np.array([4])
    run_gates(netlist(good, 2), stimulus, probes)
    for gates, told in (
        ([(AND, [2, 9], [1, 1])], "a net that is none"),
        ([(AND, [2, 5], [1, 1]), (AND, [2, 3], [1, 1])], "reads what stands behind it"),
        ([(AND, [2, 3], [0, 1])], "delays must be 1 step or more"),
    ):
        with pytest.raises(HardwareError, match=told):
            run_gates(netlist(gates, 2), stimulus, probes)
    with pytest.raises(HardwareError, match="cycles x 2 of 0 and 1"):
        run_gates(netlist(good, 2), stimulus + 2, probes)
