"""Faults of proofs of accumulator widths: by file the tests that are to notice, and pairs of old and new text."""

INPUTS = "properties/test_certificate.py"

CHANGES = {
    "certificate/sums.py": (
        INPUTS,
        (
            ("if DATAPATHS[layer.datapath].arithmetic.falls:", "if False:"),
            ("sums.min(axis=1), sums[:, -1]", "sums[:, -1], sums[:, -1]"),
            ("yield from (low, high)", "yield from (low,)"),
            ("largest=box.holds(padding)", "largest=True"),
            ("group = filters // (len(layer.weights) // layer.groups)", "group = filters // len(layer.weights)"),
        ),
    ),
    "certificate/positions.py": (
        "unit/certificate/test_positions.py",
        (
            ("np.clip(-(starts // dilation), 0, taps)", "np.clip(-starts // dilation, 0, taps)"),
            ("np.clip(-((starts - size) // dilation), 0, taps)", "np.clip((size - starts) // dilation, 0, taps)"),
            (" if end.any() else order", ""),
        ),
    ),
    "certificate/witness.py": (
        INPUTS,
        (
            ("- side.padding[0]", "- 0"),
            ("stride=(2, 2)", "stride=(1, 1)"),
        ),
    ),
    "certificate/ranges.py": (
        "unit/certificate/test_ranges.py",
        (
            ("inputs = inputs[0][[0, 0, 1, 1]], inputs[1][[0, 1, 0, 1]]", "pass"),
            ("wraps and found.observed is not None and found.observed.overflowed", "False"),
            ("[found.values.min(axis=0), found.values.max(axis=0)]", "[found.values[0], found.values[-1]]"),
            ("ends[1].max(axis=places)", "ends[1].min(axis=places)"),
            (") > register:", ") > 99:"),
            ("_RISING if reachable else _PASSING", "_RISING"),
        ),
    ),
    "certificate/prove.py": (
        "unit/certificate/test_prove.py",
        (
            ("if reachable else any_codes(output)", "if True else any_codes(output)"),
            ('"minimum" if bits_for(minimum, 0) == bits else', '"minimum" if minimum else'),
        ),
    ),
}
