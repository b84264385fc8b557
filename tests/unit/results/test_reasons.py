"""Why a design takes what it takes: each sentence where it holds, with figures of its own layers, and nowhere else."""

import pytest
from msgspec.structs import replace

from addersim import AddersimError, count, evaluate, load, load_accelerator, load_network, quantize, reasons, topology_trace
from addersim.frontends.scalesim.topology import parse_topology
from addersim.results.reasons import differing_reason

HEADER = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"


def result(name, accelerator="systolic-16x16"):
    return evaluate(count(quantize(load(name), None)), accelerator)


def test_depthwise_layers_are_told_with_their_share_of_time_and_taps():
    pytest.importorskip("torch")
    found = result("mobilenetv2-conv")
    first, _ = reasons(found)
    depthwise = {layer.name for layer in found.trace.layers if layer.work and layer.work.groups > 1}
    cycles = sum(one.cycles for one in found.cost.layers if one.name in depthwise)
    assert first.startswith(f"{len(depthwise)} depthwise layers take {100 * cycles / found.cost.cycles:.2f} % of the time for")
    assert not any("depthwise" in one for one in reasons(result("lenet5-conv")))


def test_an_idle_array_is_told_by_the_layer_that_loses_most():
    (why,) = reasons(result("lenet5-conv"))
    assert why == (
        "the array is busy 19.65 % of the time that it has: most of the rest is lost in fc1, 40.00 % of the time, where its "
        "folds fill 5.86 % of the 256 elements"
    )
    machine = load_accelerator("systolic-16x16")
    slow = evaluate(
        count(quantize(load_network("lenet5-conv"), None)), replace(machine, dram=replace(machine.dram, bandwidth_gb_s=0.01))
    )
    assert any("where it waits for DRAM" in one for one in reasons(slow))


def test_full_arrays_need_no_reason_and_bandwidth_without_a_limit_is_told(tmp_path):
    trace = topology_trace(parse_topology(HEADER + "c1, 66, 66, 3, 3, 64, 64, 1,\n", "net", "net.csv"))
    assert reasons(evaluate(trace, "systolic-16x16")) == ()
    (tmp_path / "a.cfg").write_text(
        "[general]\nrun_name = a\n[architecture_presets]\nArrayHeight: 16\nArrayWidth: 16\nIfmapSramSzkB: 64\n"
        "FilterSramSzkB: 64\nOfmapSramSzkB: 64\nIfmapOffset: 0\nFilterOffset: 10000000\nOfmapOffset: 20000000\n"
        "Dataflow : os\nBandwidth : 10\n[run_presets]\nInterfaceBandwidth: CALC\n"
    )
    (why,) = reasons(evaluate(trace, tmp_path / "a.cfg"))
    assert why.startswith("DRAM has no bandwidth that limits")


def test_several_datapaths_in_one_network_are_told():
    (why,) = reasons(result("resnet20-adder"))
    assert why.startswith("its layers run on several datapaths (l1-2a 98.91 %, mac 1.09 % of the taps)")


def test_designs_of_other_sizes_are_no_equal_rivals():
    one, other = result("lenet5-conv"), result("lenet5-conv", "systolic-32x32")
    assert differing_reason(one, other).startswith("the two have 256 and 1,024 processing elements: --pes compares")
    assert differing_reason(one, one) == ""


@pytest.mark.parametrize("given", [None, "lenet5-adder", []])
def test_what_is_no_result_has_no_reasons(given):
    with pytest.raises(AddersimError, match="reasons: result: found .*, needs Result; addersim.evaluate"):
        reasons(given)
