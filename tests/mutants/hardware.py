"""Faults of the hardware models: by file the tests that are to notice, and pairs of old and new text."""

DATAFLOW = "unit/hardware/dataflow"
DESIGNS = "unit/hardware/designs/test_estimate_designs.py"
MAPPER = " ".join(f"{DATAFLOW}/test_{name}.py" for name in ("stationary", "capacity", "tiling_costs", "systolic"))
ROWS = f"{DATAFLOW}/test_row_stationary.py {DATAFLOW}/test_row_array.py"
PRICES = "unit/hardware/prices"

CHANGES = {
    "hardware/dataflow/layer_on_array.py": (
        MAPPER,
        (
            ("(self.work.k > self.fold_size[2])", "(self.work.k > 0)"),
            ("alone = groups == 1", "alone = groups > 0"),
        ),
    ),
    "hardware/dataflow/tiling_costs.py": (
        MAPPER,
        (
            ("np.asarray(one) > 1", "np.asarray(one) > 0"),
            ("(k_passes - 1) *", "k_passes *"),
            ("swept * n_passes", "swept"),
        ),
    ),
    "hardware/dataflow/fold_times.py": (
        f"{MAPPER} {DATAFLOW}/test_tile_pipeline.py",
        (
            ("np.where(self.stays, 1, self.trips", "np.where(self.stays, self.trips[0], self.trips"),
            ("larger * np.maximum(time, least + 1)", "larger * np.maximum(time, least)"),
            ("columns - 2 * folds", "columns - folds"),
        ),
    ),
    "hardware/dataflow/tile_pipeline.py": (
        f"{DATAFLOW}/test_tile_pipeline.py",
        (
            ("store(end), here", "0.0, here"),
            ("np.where(_all(first), 0.0, store(gone))", "store(gone)"),
            ("np.maximum(trips - 3, 0)", "np.maximum(trips - 2, 0)"),
        ),
    ),
    "hardware/dataflow/many_memories.py": (
        DESIGNS,
        (
            ("(inside == time)", "(inside != time)"),
            ("for more, numbers in with_smaller_windows(", "for more, numbers in () and with_smaller_windows("),
            ("self.may_be_least(self.floor)", "(self.least == np.inf)[:, None]"),
        ),
    ),
    "hardware/dataflow/many_bandwidths.py": (
        DESIGNS,
        (
            ("* len(layers) + layers.kinds()", "* len(layers)"),
            ("search.look_at_others()", "pass"),
            ("(steps.first + steps.last)", "steps.first"),
        ),
    ),
    "hardware/designs/arrays_in_batch.py": (
        DESIGNS,
        (
            ("found.cycles * times[case]", "found.cycles"),
            ("one.energy_pj * layer.times[cases]", "one.energy_pj"),
            ("looked_at |= now", "looked_at |= True"),
            ("bits[pairs] += others.dram_bits", ""),
        ),
    ),
    "hardware/designs/in_batch.py": (
        DESIGNS,
        (
            ("one.name not in _KNOWN[kind]", "False"),
            ("and all(map(self._knows, _inside(record)))", ""),
        ),
    ),
    "hardware/dataflow/tile_candidates.py": (
        MAPPER,
        (
            ("m * n * int(layer.adds_up)", "m * n"),
            ("numbers * apart + taps[cut], side", "taps[cut], side"),
            ("sums = waiting * layer.adds_up", "sums = waiting"),
        ),
    ),
    "hardware/dataflow/systolic_mapper.py": (
        f"{DATAFLOW}/test_systolic_mapper.py",
        (("open_ones = self.least(cost, np.zeros", "open_ones = 2 * self.least(cost, np.zeros"),),
    ),
    "hardware/least_way.py": (
        "unit/hardware/test_residency.py",
        (
            ("return above[0] or", "return True or"),
            ("if any(_more(", "if False and any(_more("),
        ),
    ),
    "hardware/batches.py": (
        "unit/hardware/test_batches.py",
        (
            ("min(total, most), 0, -1)", "min(total, most), 1, -1)"),
            ("cycles=sum(one.cycles * number for", "cycles=sum(one.cycles for"),
        ),
    ),
    "hardware/zero_savings.py": (
        "unit/hardware/test_zero_savings.py",
        (
            ("return bits if bits < operand.bits else None", "return bits"),
            ("arithmetic.linear and arithmetic is not BY_TABLE", "arithmetic.linear"),
            ("is not None and arithmetic.linear and", "is not None and"),
            ("if source >= 0 else 0", "if source else 0"),
            ("if index in order.last_stage else None", ""),
            ("coding.word_bits / whole if whole", "pair if whole"),
        ),
    ),
    "hardware/idle.py": (
        "unit/hardware/test_idle.py",
        (
            ("return power_mw * 1e3 / self._clock_mhz", "return power_mw / self._clock_mhz"),
            ('"idle", of, self._cycle_pj(power) * cycles', '"idle", of, self._cycle_pj(power)'),
        ),
    ),
    "hardware/even_parts.py": (
        "unit/hardware/test_even_parts.py",
        (
            ("isqrt(size) + 2", "isqrt(size)"),
            ("if size % part == 0", ""),
        ),
    ),
    "hardware/dataflow/dispatch.py": (
        f"{MAPPER} unit/hardware/test_traffic.py",
        (
            ("if layer.weights.words < needed:", "if layer.weights.words <= needed:"),
            ("if layer.weights.words < needed:", "if False:"),
            ("LayerOnArray(work.batched(batch),", "LayerOnArray(work,"),
            ("if len(layer.inputs) != 1:", "if False:"),
            ("datapaths is not None and layer.datapath not in datapaths", "False"),
        ),
    ),
    "hardware/dataflow/capacity.py": (
        MAPPER,
        (
            (" - max(0, len(shares) - 1)", ""),
            (' and name != "weight")', ")"),
            ("// (share * (1 + buffers.double_buffered))", "// share"),
            ("if not kept.get(operand)}", "}"),
            ("sums) >= 0)", "sums) > 0)"),
            ("sums) < 0)", "sums) <= 0)"),
        ),
    ),
    "hardware/dataflow/footprint.py": (
        MAPPER,
        (
            ("max(0, wide - geometry.stride[1])", "wide - geometry.stride[1]"),
            ("max(0, high - geometry.stride[0])", "high - geometry.stride[0]"),
            ("min(wide, geometry.stride[1])", "geometry.stride[1]"),
            ("if geometry.dilation[axis] > 1:", "if False:"),
            ("min(stored, reached, products)", "min(stored, products)"),
            ("(window_tiles - 1) * ((self.taps > 1) | (self.spread > 1))", "(window_tiles - 1)"),
            ("(pixel_tiles - 1) * self.shared", "pixel_tiles * self.shared"),
            ("* stride + kernel - padding", "* stride + kernel"),
        ),
    ),
    "hardware/dataflow/stationary.py": (
        MAPPER,
        (
            ("(2 * rows if self.preloaded else rows)", "rows"),
            ("self.time: time_parts}", "self.time: 1}"),
            ("self.rows: row_folds, self.columns: column_folds", "self.rows: column_folds, self.columns: row_folds"),
            ('rows="k", columns="m", time="n"', 'rows="m", columns="k", time="n"'),
            ('self.stationary != "partial_sum"', 'self.stationary == "weight"'),
        ),
    ),
    "hardware/dataflow/systolic.py": (
        MAPPER,
        (
            ("_most(in_time, parts * rows)", "_most(in_time, rows)"),
            ("self.outputs * (self.sum_passes - 1)", "self.outputs * self.sum_passes"),
        ),
    ),
    "hardware/dataflow/row_mapper.py": (ROWS, (("if stored.any(1).all() else range(1, rows + 1)", ""),)),
    "hardware/dataflow/row_stationary.py": (
        ROWS,
        (
            ("shape.sums * (channel_blocks - 1)", "shape.sums * channel_blocks"),
            ("return full + (rest > 0),", "return full + 1,"),
            ('if mapping.weight_kept == "pass" else', 'if mapping.weight_kept != "all" else'),
            ("np.where(pass_channels < shape.channels, mapping.held, pass_filters)", "mapping.held"),
            ("kernel_rows * channel_sets + channel_blocks - 1", "kernel_rows * channel_sets + channel_blocks"),
        ),
    ),
    "hardware/dataflow/row_array.py": (
        ROWS,
        (
            ("words // -(-bits // word_bits)", "words"),
            ("taken <= tile_words(buffers, name)", "taken < tile_words(buffers, name)"),
            ("if shape.taps != work.taps * batch:", "if False:"),
        ),
    ),
    "hardware/dataflow/objective.py": (
        MAPPER,
        (
            ("words.input_fills * self._arriving[index]", "words.input_fills"),
            ('"energy-delay": energy * cycles', '"energy-delay": energy'),
            ('"dram": bits,', '"dram": energy,'),
        ),
    ),
    "hardware/traffic.py": (
        f"unit/hardware/test_traffic.py unit/hardware/test_area.py {MAPPER}",
        (
            ("partial_sums + spilled", "partial_sums"),
            ("return layer.accumulator_bits or layer.output.bits", "return layer.output.bits"),
            ("0 if input_kept else input_fills", "input_fills"),
            ("0 if layer.fused else layer.output.words * batch", "layer.output.words * batch"),
            ("layer.weights.words * batch, fills,", "layer.weights.words, fills,"),
            ("0 if weights_kept else layer.weights.words", "layer.weights.words"),
            ("0 if weights_kept else weight_fills", "weight_fills"),
        ),
    ),
    "hardware/second_level.py": (
        "unit/hardware/test_second_level.py",
        (
            ("self._room_bits /= 2", "self._room_bits /= 1"),
            ("0 if source in self.kept else ALL", "ALL"),
            ("0 if index in self._residency.kept_in_l2 else ALL", "ALL"),
            ("weight = layer.weights.words", "weight = 0"),
            ("elsewhere=near", "elsewhere=frozenset()"),
        ),
    ),
    "hardware/dataflow/channels.py": (
        f"{DATAFLOW}/test_channels.py",
        (
            ("(words + first, words + again)", "(first, again)"),
            ("for words in (one.reads, one.writes)) / self.rate", "for words in (one.reads,)) / self.rate"),
        ),
    ),
    "hardware/residency.py": (
        "unit/hardware/test_residency.py",
        (
            ("layer.weights.words and not layer.weights_shared}", "layer.weights.words}"),
            ("memory) <= memory.capacity_words", "memory) < memory.capacity_words"),
            ("(memory.capacity_words - _words(stored, memory))", "memory.capacity_words"),
            ("whole if buffers.keep_weights else [", "whole if True else ["),
            ("own and buffers.keep_weights is not False", "own"),
            ("sorted(some), some, machine)", "sorted(some), frozenset(own), machine)"),
        ),
    ),
    "hardware/kept_weights.py": (
        "unit/hardware/test_residency.py",
        (
            (" if taken[one] <= room)", ")"),
            ("with_it > best[size:]", "with_it < best[size:]"),
            ("if taken[at, left]:", "if sizes[at] <= left:"),
            ("grain = -(-total // GRAINS)", "grain = max(1, total // (8 * GRAINS))"),
        ),
    ),
    "hardware/prices/rules.py": (
        PRICES,
        (
            ("abs(math.log(point[0] / x))", "abs(point[0] - x)"),
            # ``size >= x`` -> ``size > x`` is equal: at an exact row both lines meet, and its number comes first.
            ("value * (x / size)", "value"),
            ("return x * _linear(", "return x0 * _linear("),
        ),
    ),
    "hardware/prices/data_movement.py": (
        f"{PRICES} unit/hardware/test_traffic.py",
        (
            ("memory.words(writes, bits) * write_pj", "memory.words(writes, bits) * read_pj"),
            ("return reads * read_pj + writes * write_pj", "return (reads + writes) * read_pj"),
            ("memory.share(bits) * write_pj", "memory.share(bits) * read_pj"),
            ("access.size_bits * self._dram", "access.words * self._dram"),
        ),
    ),
    "hardware/prices/scaling.py": (
        PRICES,
        (
            ("after.area / before.area", "1.0"),
            ("row.area_um2 * area", "row.area_um2 * energy"),
            ("tuple(one * energy for one in row.coefficients)", "row.coefficients"),
            ("leakage_uw=None", "leakage_uw=row.leakage_uw"),
        ),
    ),
    "hardware/prices/table.py": (
        PRICES,
        (
            ('return size.bits if row.per_bit and quantity == "energy_pj"', "return size.bits if row.per_bit"),
            ("if exact is not None and (rule is None or rule.rule not in SURFACES):", "if exact is not None:"),
            ("along < evidence[0] or", "along <= evidence[0] or"),
            ("math.log2(x) if", "math.log(x) if"),
            ("along * 8192 if", "along * 1024 if"),
            ("if not 0 <= value < math.inf:", "if not value < math.inf:"),
        ),
    ),
    "hardware/prices/row.py": (PRICES, (("span[0] <= value <= span[1]", "span[0] < value <= span[1]"),)),
    "hardware/prices/consistency.py": (
        PRICES,
        (("if len(twins) > 1:", "if False:"), ("(gap := grid_gap(", "(gap := not grid_gap(")),
    ),
    "hardware/prices/grid.py": (
        PRICES,
        (
            ("key=own.__getitem__)", "key=lambda node: -own[node])"),
            ("math.log(x / low) / math.log(high / low)", "(x - low) / (high - low)"),
            ("min(max(math.exp(_between(low, high, at.share)), least), most)", "least"),
            ("self.capacity_slopes[at.beyond > 0]", "self.capacity_slopes[at.beyond < 0]"),
            ("for low, high in ((0, 1), (-2, -1))", "for low, high in ((0, -1), (0, -1))"),
        ),
    ),
    "hardware/prices/macros.py": (
        PRICES,
        (
            ("max(memory.capacity_kib / banks, smallest)", "memory.capacity_kib / banks"),
            ("(banks * one_um2) ** 0.5", "one_um2**0.5"),
            ("UnitEnergy(one.energy_pj + wire_pj,", "UnitEnergy(one.energy_pj,"),
            ("if banks == 1 or monolithic:", "if banks == 1:"),
        ),
    ),
    "hardware/prices/scratchpads.py": (
        "unit/hardware/prices/test_scratchpads.py",
        (
            ("named.sort(key=lambda row: places.get(row.device, len(places)))", "pass"),
            ("for_array(load_table(name), array).rows for", "load_table(name).rows for"),
            ('not in ("pe", "layer")', 'not in ("pe",)'),
            ("pads.input_words + pads.weight_words + pads.sum_words", "pads.input_words + pads.weight_words"),
            ("wire.energy_pj * pitch_mm", "wire.energy_pj"),
            ("and not _has_elements(table)", ""),
        ),
    ),
    "hardware/prices/soundness.py": (
        PRICES,
        (
            ("if one.key != other.key or one.per_bit", "if one.op != other.op or one.per_bit"),
            ("(one, other) if _within(one, other) else (other, one)", "(one, other)"),
            ("if more < less * (1 - _TOLERANCE):", "if False:"),
        ),
    ),
    "hardware/prices/csv_file.py": (
        PRICES,
        (
            ("1 / int(match[1] or 1)", "1.0"),
            ("not value >= 0 or (positive and value == 0)", "not value >= 0"),
            ('* (scale if column == "energy_pj" else 1)', "* scale"),
            ("if low > high:", "if False:"),
        ),
    ),
    "hardware/prices/operations.py": (
        PRICES,
        (("number * table.price(op, bits, component)", "table.price(op, bits, component)"),),
    ),
    "hardware/prices/elements.py": (
        "unit/hardware/prices/test_elements.py",
        (
            ("min(figures.idle_pj, max(", "max(figures.idle_pj, max("),
            ("padded + (1 - padded) * known.share", "known.share"),
            ("energy_pj - figures.zero_pj * share", "energy_pj"),
            ("energy += more * figures.accumulator_pj", "energy += figures.accumulator_pj"),
            ("(layer.work.taps - layer.gated_taps) * self.tap", "layer.work.taps * self.tap"),
        ),
    ),
    "hardware/area.py": (
        "unit/hardware/test_area.py",
        (
            ("2 + (twice and preloaded)", "2 + twice"),
            ("1 + (twice and not preloaded)", "1"),
            (" if layer.datapath == name] or windows", "]"),
            ("== name] or windows", "== name] or windows[-1:]"),
            ("operations.count(op)", "1"),
            ("max(bits, widest.get(op, 0))", "bits"),
            ("max(map(sum_bits, windows))", "sum_bits(windows[0])"),
            ("figure.value * circuit.number", "figure.value"),
        ),
    ),
    "hardware/sizing.py": (
        "unit/hardware/test_sizing.py",
        (
            ("fast.value > enough", "fast.value >= enough"),
            ("budget_mm2 * 1e6 - fixed, area", "budget_mm2 * 1e6, area"),
            ("if not fits(1, 1):", "if not fits(0, 1):"),
        ),
    ),
    "hardware/shape_search.py": (
        "unit/hardware/test_sizing.py",
        (
            ("self.rows, stretch, elements, value", "self.rows, stretch, value"),
            ("few._rising(few.rows * few.columns)", "few._rising(few.rows)"),
            ("np.maximum(ratio, 1 / ratio)", "ratio"),
            ("self.cycles <= most_cycles", "self.cycles < most_cycles"),
        ),
    ),
    "hardware/shape_bounds.py": (
        "unit/hardware/test_sizing.py",
        (
            ("sum((folds[PlacedWork", "2 * sum((folds[PlacedWork"),
            ("np.maximum(on_chip, dram)", "on_chip + dram"),
            ("dram.append(bits / runs", "dram.append(2 * bits / runs"),
        ),
    ),
    "hardware/dataflow/broadcast.py": (
        "unit/hardware/dataflow/test_broadcast.py",
        (
            ("in_turn * -(-window // (in_turn * rows))", "-(-window // rows)"),
            ("rows if work.window //", "1 if work.window //"),
            ("(stripes - 1) * self._striped(outputs)", "(stripes - 1) * outputs"),
            ("(parts - 1) * self._steps(window)", "self._steps(window)"),
        ),
    ),
    "hardware/dataflow/strips.py": (
        "unit/hardware/test_depth_first.py",
        (
            ("rows[-1] * stride)", "rows[-1])"),
            ("np.minimum(starts, before)", "np.minimum(starts, there)"),
            ("reader.dilation[0] * (reader", "(reader"),
        ),
    ),
    "hardware/chain_parts.py": (
        "unit/hardware/test_depth_first.py",
        (
            ("best[part.first]", "best[end]"),
            ("(*chosen, part)", "(part,)"),
        ),
    ),
    "hardware/depth_first.py": (
        "unit/hardware/test_depth_first.py",
        (
            (" or self.readers[value] != 1:", ":"),
            ("run = replace(run, accesses=_joined((*run.accesses, *self.fetched(variant))))", "pass"),
        ),
    ),
    "hardware/own_clock.py": (
        "unit/hardware/test_own_clock.py",
        (
            ("1e3 / delay_ns", "1e2 / delay_ns"),
            ("max(found, key", "min(found, key"),
        ),
    ),
    "hardware/schedule.py": (
        "unit/hardware/test_schedule.py",
        (
            ("memory.words(value.words * batch, value.bits) * memory.word_bits", "value.words * batch * value.bits"),
            ("value.words * batch, value", "value.words, value"),
            ("lifetime.stop]) <= capacity", "lifetime.stop]) < capacity"),
            ("order.stages[index], last + 1)", "order.stages[index], last)"),
            ("(len(pair[1]), pair[0])", "(pair[0],)"),
            ("source >= 0 and layers[source].fused", "False"),
            ("for name in names) / 2", "for name in names)"),
            ("if not -1 <= source < index:", "if not -1 <= source <= index:"),
        ),
    ),
    "hardware/latency.py": (
        "unit/hardware/test_latency.py",
        (
            ("-(-operations // accelerator.vector.lanes)", "operations // accelerator.vector.lanes"),
            ("-(-number // banks[name])", "number // banks[name]"),
            ("math.ceil(bits / accelerator", "math.floor(bits / accelerator"),
            ("max(busy for busy, _ in on_chip) + max(dram, l2)", "max(busy for busy, _ in on_chip)"),
        ),
    ),
    "hardware/scalesim/compute_report.py": (
        "unit/frontends/scalesim",
        (
            ("layer.work.batched(cost.batch)", "layer.work"),
            ("columns - 1 if how.preloaded", "columns if how.preloaded"),
            ("total = cycles - last", "total = cycles"),
        ),
    ),
}
