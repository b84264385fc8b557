"""Cycles of each layer beside those that Arm's Vela estimates."""

from pathlib import Path

import msgspec
import numpy as np
from networks import FILES, table_of

from addersim import count, estimate, load_accelerator

VELA_MACHINE = "ethos-u55-256-like"
KINDS = {"Conv2D": "window", "DepthwiseConv2D": "window", "FullyConnected": "window", "Add": "rescaled_add"}
KINDS |= {"AvgPool": "average_pool", "Softmax": "rule_softmax"}


def ranks(values):
    """From 1 up; equal values share the mean of their ranks."""
    values = np.asarray(values)
    return np.array([((values < one).sum() + (values <= one).sum() + 1) / 2 for one in values])


def spearman(one, other):
    return float(np.corrcoef(ranks(one), ranks(other))[0, 1])


def vela_layers(path):
    """(operator, MACs, array cycles, cycles) of each operator of the network, in order; what one became is summed."""
    found, before = [], None
    for row in table_of(path):
        operator = row["Original Operator"]
        # a fused ReLU is a row of its own behind its convolution, and a softmax is two dozen rows
        goes_on = row["NNG Operator"] == "Relu" or operator == before == "Softmax"
        place = found.pop() if goes_on else (operator, 0, 0, 0)
        numbers = (float(row[key]) for key in ("MAC Count", "NPU", "Op Cycles"))
        found.append((place[0], *(old + round(new) for old, new in zip(place[1:], numbers, strict=True))))
        before = operator
    return found


def unhindered():
    """The machine with so many lanes that none of its layers waits for them.

    Where rescaling takes longer than the sums before it, a mapper for latency may leave columns empty: nothing is lost.
    """
    machine = load_accelerator(VELA_MACHINE)
    return msgspec.structs.replace(machine, vector=msgspec.structs.replace(machine.vector, lanes=1024))


def our_layers(program, machine=VELA_MACHINE):
    """(kind, taps, array cycles, array and vector cycles, cycles) likewise: rescaling counts to the layer before it."""
    found = []
    for layer in estimate(count(program), machine, objective="latency").layers:
        if layer.kind == "move":
            continue
        kind, array = layer.kind, layer.compute_cycles
        taps, both, cycles = layer.taps, array, layer.cycles
        if kind == "rescale":
            kind, taps, array, more, waited = found.pop()
            both, cycles = both + more, cycles + waited
        found.append((kind, taps, array, both, cycles))
    return found


def cycle_rows(folder, nets):
    """Layer by layer beside Vela, for the networks that it reports."""
    rows = []
    for name, file in FILES.items():
        path = Path(folder) / f"{file}_per-layer.csv"
        if path.exists():
            both_of_ours = our_layers(nets[name]), our_layers(nets[name], unhindered())
            for place, (theirs, ours, free) in enumerate(zip(vela_layers(path), *both_of_ours, strict=True)):
                operator, macs, npu, total = theirs
                kind, taps, array, both, cycles = ours
                if KINDS[operator] != kind or (kind == "window" and taps != macs):
                    raise ValueError(f"{name}, layer {place}: Vela has {operator} of {macs} MACs, we {kind} of {taps}")
                row = {"network": name, "layer": place, "operator": operator, "macs": macs}
                row |= {"vela_array": npu, "ours_array": array}
                row |= {"ratio": round(array / npu, 2), "ours_array_and_vector": both}
                row |= {"vela_cycles": total, "ours_cycles": cycles, "ours_array_unhindered": free[2]}
                rows.append(row)
    return rows


def correlations(rows):
    """Per network and for all layers: totals, ratios, and how alike the orders are."""
    found = []
    pairs = [("vela_array", f"ours_array{which}") for which in ("", "_unhindered", "_and_vector")]
    pairs.append(("vela_cycles", "ours_cycles"))
    names = [*dict.fromkeys(row["network"] for row in rows), "all"]
    for name in names:
        for windows in (True, False):
            some = [row for row in rows if name in (row["network"], "all")]
            some = [row for row in some if not windows or KINDS[row["operator"]] == "window"]
            for theirs, ours in pairs:
                if "unhindered" in ours and not windows:
                    continue  # only layers of the array keep their meaning there
                one, other = ([row[key] for row in some] for key in (theirs, ours))
                found.append(
                    {
                        "network": name,
                        "layers": "windows" if windows else "all",
                        "compared": ours.removeprefix("ours_"),
                        "number": len(some),
                        "vela": sum(one),
                        "ours": sum(other),
                        "ratio": round(sum(other) / sum(one), 2),
                        "spearman": round(spearman(one, other), 2),
                    }
                )
    return found
