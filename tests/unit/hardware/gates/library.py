"""A small Liberty library for tests: enough cells for any circuit, with tables that a line gives."""

import re
import shutil
from pathlib import Path

SLEWS, LOADS = (0.01, 0.1, 1.0), (0.001, 0.01, 0.1)


def table(kind, base, per_slew, per_load, template="both"):
    """A table of base + per_slew x slew + per_load x load."""
    rows = ", ".join('"' + ", ".join(f"{base + per_slew * s + per_load * c:.6g}" for c in LOADS) + '"' for s in SLEWS)
    return f"{kind} ({template}) {{ values ({rows}); }}"


def input_pin(name, load=0.002, more=""):
    return f"pin ({name}) {{ direction : input; capacitance : {load}; {more} }}"


def arcs(inputs, sense, delay, power=True):
    """Timing and energy of an output, from each input."""
    text = []
    for name in inputs:
        tables = [
            table("cell_rise", delay, 0.1, 2.0),
            table("cell_fall", 0.9 * delay, 0.1, 1.8),
            table("rise_transition", 0.02, 0.1, 3.0),
            table("fall_transition", 0.02, 0.1, 2.5),
        ]
        text.append(f'timing () {{ related_pin : "{name}"; timing_sense : {sense}; {" ".join(tables)} }}')
        if power:
            energies = table("rise_power", 0.001, 0.0005, 0.0) + table("fall_power", 0.002, 0.0005, 0.0)
            text.append(f'internal_power () {{ related_pin : "{name}"; {energies} }}')
    return " ".join(text)


def gate(name, function, inputs, sense="negative_unate", area=2.0, delay=0.05, power=True):
    pins = " ".join(input_pin(one) for one in inputs)
    out = f'pin (Y) {{ direction : output; function : "{function}"; {arcs(inputs, sense, delay, power)} }}'
    return f"cell ({name}) {{ area : {area}; cell_leakage_power : {area}; {pins} {out} }}"


def flop(name="DFF", power_per_load=0.0, more_outputs=True):
    """A register with both outputs, whose tables may hold the energy of the load."""
    clock_power = 'internal_power () { rise_power (one) { values ("0.004"); } fall_power (one) { values ("0.002"); } }'
    setup = (
        f'timing () {{ related_pin : "CK"; timing_type : setup_rising; {table("rise_constraint", 0.03, 0.1, 0.0, "setup")} '
        f"{table('fall_constraint', 0.04, 0.1, 0.0, 'setup')} }}"
    )

    def output(pin, state):
        energies = table("rise_power", 0.005, 0.0, power_per_load) + table("fall_power", 0.005, 0.0, power_per_load)
        timing = " ".join(
            [
                table("cell_rise", 0.1, 0.1, 2.0),
                table("cell_fall", 0.1, 0.1, 2.0),
                table("rise_transition", 0.02, 0.1, 3.0),
                table("fall_transition", 0.02, 0.1, 3.0),
            ]
        )
        return (
            f'pin ({pin}) {{ direction : output; function : "{state}"; '
            f'timing () {{ related_pin : "CK"; timing_type : rising_edge; timing_sense : non_unate; {timing} }} '
            f'internal_power () {{ related_pin : "CK"; {energies} }} }}'
        )

    outputs = output("Q", "IQ") + (output("QN", "IQN") if more_outputs else "")
    return (
        f'cell ({name}) {{ area : 6.0; cell_leakage_power : 6.0; ff (IQ, IQN) {{ clocked_on : "CK"; next_state : "D"; }} '
        f"{input_pin('CK', 0.003, 'clock : true; ' + clock_power)} {input_pin('D', 0.002, setup)} {outputs} }}"
    )


def full_adder():
    pins = " ".join(input_pin(one) for one in "ABC")
    outputs = "".join(
        f'pin ({name}) {{ direction : output; function : "{function}"; {arcs("ABC", "non_unate", 0.1)} }}'
        for name, function in (("S", "A ^ B ^ C"), ("CO", "(A B) + (A C) + (B C)"))
    )
    return f"cell (FA) {{ area : 8.0; cell_leakage_power : 8.0; {pins} {outputs} }}"


def head(more=""):
    axes = 'index_1 ("{}"); index_2 ("{}");'.format(*(", ".join(map(str, one)) for one in (SLEWS, LOADS)))
    levels = " ".join(
        f"{kind}_threshold_pct_{edge} : {level};"
        for kind, level in (("input", 50), ("output", 50), ("slew_lower", 20), ("slew_upper", 80))
        for edge in ("rise", "fall")
    )
    one = 'variable_1 : input_transition_time; index_1 ("0.1");'
    both = f"variable_1 : input_net_transition; variable_2 : total_output_net_capacitance; {axes}"
    power = both.replace("input_net_transition", "input_transition_time")
    return (
        "delay_model : table_lookup; "
        'time_unit : "1ns"; voltage_unit : "1V"; leakage_power_unit : "1nW"; capacitive_load_unit (1, pf); nom_voltage : 1.0; '
        f"nom_temperature : 25; {more} {levels} lu_table_template (both) {{ {both} }} power_lut_template (one) {{ {one} }} "
        f"power_lut_template (both) {{ {power} }} "
        "lu_table_template (setup) { variable_1 : related_pin_transition; variable_2 : constrained_pin_transition; "
        f"{axes} }}\n"
    )


WIRES = (
    'default_wire_load : "small"; wire_load ("small") { capacitance : 0.001; slope : 2.0; '
    "fanout_length (1, 1.0); fanout_length (4, 7.0); }"
)


def cells(power_per_load=0.0, power=True):
    return "\n".join(
        [
            gate("INV", "!A", ["A"], area=1.0, delay=0.02, power=power),
            gate("BUF", "A", ["A"], "positive_unate", 1.5, 0.03, power),
            gate("NAND2", "!(A & B)", ["A", "B"], power=power),
            gate("NOR2", "(A + B)'", ["A", "B"], power=power),
            gate("XOR2", "A ^ B", ["A", "B"], "non_unate", 4.0, 0.08, power),
            flop(power_per_load=power_per_load),
        ]
    )


def library_text(body=None, more=WIRES):
    text = f"library (small_nangate_like) {{ {head(more)} {cells() if body is None else body} }}\n"
    return re.sub(r"([;{}]) +", r"\1\n", text)  # the reader of yosys' abc fails on long lines


def write(folder, text=None, name="small.lib"):
    path = Path(folder, name)
    path.write_text(library_text() if text is None else text)
    return path


def has(*programs):
    return all(shutil.which(one) for one in programs)
