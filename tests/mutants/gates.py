"""Faults of elements in gates and of prices by toggles: by file the tests that are to notice, pairs of old and new text."""

ACTIVITY = "unit/hardware/test_activity.py"
ELEMENTS = "unit/hardware/prices/test_elements.py"
GATES = "unit/hardware/gates"
CHARACTERISE = f"{GATES}/test_characterise.py"

CHANGES = {
    "toggles.py": (
        f"{ACTIVITY} {ELEMENTS}",
        (
            ("return alone - self.input_changes * self.weight_changes / 2", "return alone"),
            ("+ self.weight_changes * self.input_ones", ""),
            ("1.0, -self.zeros,", "1.0, self.zeros,"),
            ("self.input_changes, self.weight_changes, self.product_changes", "self.weight_changes, self.input_changes, 0.0"),
            ("if self.sum_changes is None else (*of_operands, self.sum_changes)", "if True else ()"),
        ),
    ),
    "hardware/tap_order.py": (
        ELEMENTS,
        (
            ("if layer.toggles.order != machine.array.dataflow:", "if False:"),
            ("if layer.gated_taps or layer.work.kept is not None:", "if layer.work.kept is not None:"),
            ("if layer.gated_taps or layer.work.kept is not None:", "if layer.gated_taps:"),
            ("replace(layer, toggles=None) if why else layer", "layer"),
        ),
    ),
    "hardware/operand_activity.py": (
        ACTIVITY,
        (
            ("(pass_taps - 1) + between) / pass_taps", "pass_taps) / pass_taps"),
            ("2 * share * (1 - share)", "share * (1 - share)"),
        ),
    ),
    "arithmetic/fixed.py": (
        CHARACTERISE,
        (
            ("return self.bits + wider, wider or", "return self.bits, wider or"),
            ("wider or (self.signed and not self.zero_point)", "self.signed"),
            ("self.zero_point not in (0, self.minimum)", "False"),
        ),
    ),
    "hardware/operand_streams.py": (
        ACTIVITY,
        (
            ("- held.zero_point & (1 << bits) - 1", "& (1 << bits) - 1"),
            ("counted[..., [end - 1 for end in ends]] = False", "pass"),
            ("self.pixels / self.images if self.order", "self.pixels if self.order"),
            ('0 if self.order == "input" else', '0 if self.order == "weight" else'),
            ("yield turns[:, -1] ^ turns[:, 0], lines * (inputs.columns - 1)", "pass"),
            (".transpose(0, 3, 1, 5, 4, 6, 2)", ".transpose(0, 3, 1, 5, 6, 4, 2)"),
            ("begins.setdefault(last - first, []).append(first)", "begins.setdefault(last - first, [first])"),
            ("if places == list(range(padded.shape[-1])[evenly]) else", "if True else"),
            ("for first in range(0, filters, held)]", "for first in range(0, filters, filters)]"),
            ("[:, (columns.kernel - 1) * columns.dilation :: columns.stride]", "[:, :: columns.stride]"),
            ("codec.stored(layer.operand_weights(np.arange(len(layer.weights))), bits)", "layer.weights & (1 << bits) - 1"),
        ),
    ),
    "hardware/activity.py": (
        ACTIVITY,
        (
            ('    if order == "output":\n', "    if order:\n"),
            ('if order == "row" and not start:', "if False:"),
            ("- {trace.name}):", "- {one.network for one in activity}):"),
            ("sorted(windows ^ set(found))", "sorted(set(found) - windows)"),
            ("x.ones_per_tap, w.ones_per_tap, of_sums", "x.ones_per_tap, w.ones_per_tap"),
            ("math.sqrt(len(taps)) / taps.sum()", "len(taps) / taps.sum()"),
            ("x.ones_per_tap, w.ones_per_tap", "w.ones_per_tap, x.ones_per_tap"),
        ),
    ),
    "hardware/dataflow/row_stationary.py": (
        ACTIVITY,
        (
            ("last = -(-rest // sets)\n", "last = each\n"),
            ("[each] * (full * sets)", "[each] * full"),
        ),
    ),
    "kernels/toggles.py": (
        ACTIVITY,
        (
            (
                "counts[first : first + 8])\n    return counts[:bits]\n\n\ndef weighed_changes",
                "counts[:8])\n    return counts[:bits]\n\n\ndef weighed_changes",
            ),
            ("255, 0).astype", "127, 0).astype"),
            ("parts[0] | parts[1]", "parts[0]"),
        ),
    ),
    "hardware/prices/elements.py": (
        ELEMENTS,
        (
            ("or _by_toggles(layer, table) or _by_zeros", "or _by_zeros"),
            (
                "_own(network, layer, table) or _by_toggles(layer, table)",
                "_by_toggles(layer, table) or _own(network, layer, table)",
            ),
            ("return max(energy, figures.idle_pj), words", "return energy, words"),
            ("one, style, signed) for one", "one, style) for one"),
            ("widths = list(layer.tap_operands[:2])", "widths = [layer.inputs[0].bits, layer.weights.bits]"),
            ('("toggles", moving), ', ""),
            ("if len(layer.toggles.terms) < len(figures.by_toggles):", "if False:"),
            ("if len(first.by_toggles) == len(last.by_toggles) else ()", ""),
        ),
    ),
    "hardware/prices/table.py": (
        ELEMENTS,
        (
            ("return found if quantity in OF_TOGGLES else [", "return ["),
            (", by_toggles=toggles)", ")"),
            ('return (*found, self._find("sum_toggle_pj", key, size, "").value)', "return found"),
            ("if not {SIGNED, SCRATCHPADS} & set(device.split())", ""),
        ),
    ),
    "hardware/prices/csv_file.py": (
        ELEMENTS,
        (
            ('if given and component == "layer":', "if False:"),
            ("if given and (missing :=", "if False and (missing :="),
        ),
    ),
    "hardware/prices/scaling.py": (ELEMENTS, (('"uniform_pj", *OF_TOGGLES)', '"uniform_pj")'),)),
    "hardware/designs/in_batch.py": (ELEMENTS, (("and small and not by_order", "and small"),)),
    "hardware/estimate.py": (ELEMENTS, (("if energies.knows_elements:\n", "if True:\n"),)),
    "hardware/gates/characterise.py": (
        CHARACTERISE,
        (
            ("if (factors[1:] >= 0).all() and squares < best[0]:", "if squares < best[0]:"),
            ("squares < best[0]:", "squares > best[0]:"),
            ("terms / energies[:, None]", "terms"),
            ("for x in (False, True)]", "for x in (False, False)]"),
            ("*held[::2], *short]", "*held[::2]]"),
            ('driven.outputs["sum"][LATENCY:]', 'driven.outputs["sum"][: -LATENCY]'),
        ),
    ),
    "hardware/gates/netlist.py": (
        f"{CHARACTERISE}::test_what_a_library_tells_of_no_cell_is_no_number_of_its_rows",
        (("for column, value in told.items() if value}", "for column, value in told.items()}"),),
    ),
    "hardware/row_operands.py": (
        f"{ACTIVITY}",
        (
            ("geometry.padding[1]", "geometry.padding[0]"),
            ("+ of_kernel * geometry.dilation[0]", "+ of_kernel"),
            ("inner = np.broadcast_to(weights.transpose(1, 2, 0)", "inner = np.broadcast_to(weights[::-1].transpose(1, 2, 0)"),
        ),
    ),
    "hardware/row_sums.py": (
        f"{ACTIVITY}::test_sums_that_elements_take_from_scratchpads_are_those_of_outputs_gone_through_tap_by_tap",
        (
            ("group * filters, ends[1]", "group, ends[1]"),
            ("(group * channels)[:, None]", "group[:, None]"),
            ("+ of_kernel * geometry.dilation[0]", "+ of_kernel"),
            ("((0, 0), (filters.shape[1], 1))", "((0, 0), (filters.shape[1], 0))"),
            ("& (1 << layer.accumulator_bits()) - 1", "& (1 << layer.accumulator_bits() - 1) - 1"),
            (".cumsum(axis=1)[:, :-1]", "[:, :-1]"),
            ("np.where(inside[..., None], found, layer.input_format.zero_point)", "found"),
        ),
    ),
    "hardware/gates/element_operands.py": (
        CHARACTERISE,
        (
            ("for one in range(self.turn):", "for one in range(1):"),
            ("np.where(self.starts, 0, self.words(element)", "np.where(False, 0, self.words(element)"),
            ("% taps == 0, turn=1)", "% taps == 0)"),
            ("// steps * steps", ""),
            ("replace(self, x=self.x[places]) if x else replace(self, w=self.w[places])", "replace(self, x=self.x[places])"),
            ("x *= rng.choice([-1, 1], shape)", "pass"),
            ("self.input_signed and self.lanes == 1", "False"),
            ("np.where(inside[..., None], found, layer.input_format.zero_point)", "np.where(inside[..., None], found, 0)"),
            ('words["input_code"] & (1 << element.input_bits) - 1', 'words["input_code"] & 1'),
            ("x[rng.random(shape) < zeros] = 0", "x[rng.random(shape) < zeros / 2] = 0"),
        ),
    ),
    "hardware/gates/element_table.py": (
        CHARACTERISE,
        (
            ("**dict(zip(OF_TOGGLES, fit.by_toggles, strict=False)),", ""),
            ("2 if circuit.element.scratchpads else 1", "1"),
            ("if row.source == origin.source}", "}"),
            ('"energy_pj": energy.total_pj / lanes,', '"energy_pj": energy.total_pj,'),
        ),
    ),
    "hardware/gates/power.py": (
        f"{CHARACTERISE} {GATES}/test_netlists.py",
        (
            ("0.5 * volts2 * loads * toggles", "volts2 * loads * toggles"),
            ("max(times) * sum(energies) / len(energies)", "max(times) * sum(energies)"),
            ("return 2 * pin.energy_pj(timing.slew_ns, 0.0)", "return pin.energy_pj(timing.slew_ns, 0.0)"),
            ("pin.energy_pj(timing.slew_ns, 0.0, clock))", "pin.energy_pj(timing.slew_ns, 0.01, clock))"),
            ("volts2 * sum(loads[net] for net in clocks)", "0.0"),
        ),
    ),
    "hardware/gates/constant_layer.py": (
        f"{GATES}/test_fabric.py",
        (
            ('if weight or arithmetic != "mac"])', "])"),
            ("np.abs(x - w) if", "x - w if"),
            ("for _ in range(levels):", "while len(level) > 1:"),
            ("number // each * channels", "0"),
            ("reversed(self._sums)", "self._sums"),
            ("if key not in self._known:", "if True:"),
        ),
    ),
}
