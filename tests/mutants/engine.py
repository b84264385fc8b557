"""Faults of arithmetic, layers and quantisation: by file the tests that are to notice, and pairs of old and new text."""

RULES = "unit/quantization/test_rules_table.py"
PIPELINE = (
    f"{RULES} unit/quantization/test_calibration.py unit/quantization/test_rewrites.py unit/quantization/test_pipeline.py "
    "unit/quantization/test_binary.py"
)
LAYERS = "unit/layers"
BILLS = "unit/layers/test_bills.py"

CHANGES = {
    "kernels/zeros.py": (
        "properties/test_kernels_zeros.py",
        (
            ("if not low <= zero_point <= high:", "if False:"),
            ("if images.itemsize != 1 or", "if"),
            ("not images.flags.c_contiguous or", ""),
        ),
    ),
    "kernels/chains.py": (
        "unit/test_steps.py",
        (
            ("lives[one][1] <= end and start <= lives[one][2]", "lives[one][1] < end and start < lives[one][2]"),
            ("-1), one.zero_point, one.counted)", "-1), 0, one.counted)"),
            ("or window.values_matter", ""),
            ("return self.spare.pop()", "return self.spare[-1]"),
            ("prepared.then or prepared.output", "prepared.output"),
            ("chosen not in self._plans", "not self._plans"),
        ),
    ),
    "steps.py": (
        "unit/test_steps.py",
        (
            ("last.get(step.name, at + 1) > at", "last.get(step.name, at + 1) > at + 1"),
            ("last.get(name, -1) > at", "last.get(name, -1) > at + 1"),
            ("step.name not in fused)", "True)"),
            ("(words, *zeros)", "(images, *zeros)"),
            ("self.parts is None or threads != 1", "self.parts is None"),
        ),
    ),
    "zeros.py": (
        "unit/test_zeros.py",
        (("else 1 / longest", "else 0.0"),),
    ),
    "arithmetic/requantisation.py": (
        "unit/arithmetic/test_requantisation.py",
        (
            ("tiny = exponent < -31", "tiny = exponent < -30"),
            ("least = 0 if", "least = 1 if"),
            ("full = np.abs(multiplier) >> (bits - 1)", "full = np.zeros_like(multiplier)"),
            ("reals * output.scale", "reals"),
        ),
    ),
    "arithmetic/rescaled_sums.py": (
        "unit/arithmetic/test_requantisation.py",
        (
            ("(1 << 30) + 1", "1 << 30"),
            ("zero * (divisors - inside)", "zero * inside"),
            ("common = 2 * scales.max()", "common = 2 * scales.min()"),
        ),
    ),
    "kernels/requantisation.py": (
        "unit/arithmetic/test_requantisation.py properties/test_kernels_zero_points.py",
        (
            ("bool(((m >= 0) & fits).all())", "bool(fits.all())"),
            ("fits = (m == 0) | ((wide <= INT32[1])", "fits = (m == 0) | ((wide >= 0)"),
            ("bool(((f >= 0) & (f * reach", "bool(((f * reach"),
            ("output.ends_at_zero or low > output.minimum", "low > output.minimum"),
            ("_NO_MOST if high < output.maximum", "_NO_MOST if False"),
        ),
    ),
    "quantization/pipeline.py": (
        f"{PIPELINE} unit/quantization/test_output_errors.py unit/quantization/test_zero_points.py",
        (
            ("2.0 ** np.ceil(np.log2(found)) if", "2.0 ** np.floor(np.log2(found)) if"),
            ("name not in wiring.quiet and _is_compared(name, formats)", "_is_compared(name, formats)"),
            ("name not in wiring.quiet and _is_compared(name, formats)", "name not in wiring.quiet"),
            ("    if how.clip_weights:", "    if not how.clip_weights:"),
            (" * plan.scales[twin.inputs[0]]", ""),
            (' and plan.how.correction != "none":', ":"),
            ("    if folded:", "    if not folded:"),
            ('how.weight_rounding == "output" and record', 'how.weight_rounding == "output" or record'),
            ("record.linear and record.codec.uniform", "record.linear"),
            ("if prepared.folded != how.fold_batch_norm:", "if False:"),
            ("scales[layer.name] = sum_step(layer, how, source)", "scales[layer.name] = source.scale"),
        ),
    ),
    "quantization/rules.py": (
        PIPELINE,
        (
            ("asked = self.weight_bits if own is None else own", "asked = self.weight_bits"),
            ("(self.activation_bits if own is None else own)", "self.activation_bits"),
            ("min(asked, trained or asked)", "asked"),
            ("ARITHMETICS[arithmetic].activation_bits or ", ""),
            ("self.clip_weights and ARITHMETICS[arithmetic].exact_clip", "self.clip_weights"),
            ('DATAPATHS[f"l1-{self.circuit}"]', 'DATAPATHS["l1-2a"]'),
            ("50.0 < self.percentile <= 100.0", "50.0 < self.percentile < 100.0"),
            ("50.0 < self.percentile <=", "50.0 <= self.percentile <="),
        ),
    ),
    "quantization/calibration.py": (
        PIPELINE,
        (
            (
                "max(high / unit.maximum if unit.maximum else 0.0, low / unit.minimum if unit.minimum else 0.0)",
                "high / unit.maximum",
            ),
            ("tail = (100.0 - percentile, percentile)", "tail = (50.0, percentile)"),
            ("np.arange(100, 4, -1)", "np.arange(100, 50, -1)"),
            ("(members, percentile) or 1.0", "(members, percentile)"),
            ("sum(_losses(one, candidates) for one in members)", "sum(_losses(one, candidates) for one in members[:1])"),
            ('if method in ("mse", "output") else', 'if method == "mse" else'),
            ("if not codec.uniform:", "if codec.uniform:"),
            ("if all(one.bits == 1 for one in members):", "if False:"),
            ("len(weights) if per_channel else 1", "len(weights)"),
            (" / number - mean**2", " / number"),
            ("Sample(min(minima), max(maxima)", "Sample(minima[0], max(maxima)"),
            ("Sample(min(minima), max(maxima)", "Sample(min(minima), maxima[-1]"),
            ("np.where(largest > 0, largest, 1.0)", "largest"),
            ("np.concatenate(values), mean", "values[0], mean"),
            ("math.gcd(step, size) == 1", "step"),
        ),
    ),
    "quantization/value_formats.py": (
        PIPELINE,
        (
            ("and all(mean <= 0 for", "and any(mean <= 0 for"),
            ("mean <= 0 for", "mean < 0 for"),
            ("layer.is_never_negative(*(name in found for name in layer.inputs))", "layer.KEEPS_SIGN"),
            (" and not layer.PASSES_CODES", ""),
            ("(one.PASSES_CODES and one.name in found)", "False"),
            ("group.bits + (mixed and signed)", "group.bits"),
            ("min(group.bits + (mixed and signed), BITS.most)", "group.bits + (mixed and signed)"),
            ("others.items() if name not in wiring.quiet]", "others.items()]"),
            ("2.0 ** np.ceil(np.log2(scale))", "2.0 ** np.floor(np.log2(scale))"),
            ("max(asked, default=", "min(asked, default="),
            ("how.output_bits if top in scores else how.activation_bits", "how.activation_bits"),
            (" if len(shapes[name]) == 1}", "}"),
            (" * 2.0 ** (bits - member.bits)", ""),
            ("if not how.clips(one.arithmetic)", "if not how.clip_weights"),
            (' * (MOST_CORRECTION if how.correction == "mean-variance" else 1.0)', ""),
            ("min(1.0, 2.0 ** (source.bits - bits))", "1.0"),
            ("widest == 0 or (widest == 1 and 0 in asked)", "widest == 0"),
            ("() if layer.PASSES_CODES else layer.inputs", "layer.inputs"),
            (") ** record.degree)", "))"),
            ("np.abs(affine.multiplier * step).max()", "np.abs(affine.multiplier * step).min()"),
            ("(2 ** (how.multiplier_bits - 1) - 1)", "(2**how.multiplier_bits - 1)"),
            ("all(one.cuts_negatives() or", "any(one.cuts_negatives() or"),
            ("scale = max(scale, _scale_for_multipliers", "scale = min(scale, _scale_for_multipliers"),
        ),
    ),
    "quantization/rewrites.py": (
        PIPELINE,
        (
            ("len(found) == 1 and isinstance(found[0], Affine)", "found and isinstance(found[0], Affine)"),
            ("layer.addend + layer.multiplier * bias", "layer.addend + bias"),
            ("affine.multiplier * scale, affine.addend", "affine.multiplier, affine.addend"),
            ("affine.addend - affine.multiplier * lost", "affine.addend + affine.multiplier * lost"),
            ("np.abs(window.weights - weights)", "(window.weights - weights)"),
            (" and _only_reader(readers, source.name):", ":"),
            ("lambda one: one.exact_clip", "lambda one: not one.linear"),
            ("affine, np.ones(1), affine.addend)", "affine, np.ones(1), affine.addend * affine.multiplier)"),
        ),
    ),
    "quantization/bias_correction.py": (
        RULES,
        (
            ("1 / MOST_CORRECTION, MOST_CORRECTION", "0.0, MOST_CORRECTION"),
            ("MOST_CORRECTION = 2.0", "MOST_CORRECTION = 4.0"),
            ("sums.std(axis=0) * np.abs(multiplier)", "sums.std(axis=0)"),
            ("mean - multiplier * sums.mean", "mean - affine.multiplier * sums.mean"),
        ),
    ),
    "quantization/output_errors.py": (
        f"{RULES} unit/quantization/test_output_errors.py",
        (
            ("np.arange(-8, 9) / 8", "np.arange(-4, 5) / 8"),
            ("(1 - LEAST_GAIN) * error(1.0)", "error(1.0)"),
            ("slice(group * filters, (group + 1) * filters)", "slice(0, filters)"),
            (" - np.multiply.outer(mean, mean)", ""),
            ("coprime_step(-(-total // MOST_OUTPUTS), total)", "-(-total // MOST_OUTPUTS)"),
            ("coprime_step(-(-total // MOST_OUTPUTS), total)", "coprime_step(total // MOST_OUTPUTS, total)"),
        ),
    ),
    "layers/integer_window.py": (
        f"{BILLS} unit/layers/test_zero_points.py",
        (
            ("due = self._arithmetic.linear and bool(self.input_format.zero_point)", "due = False"),
            ("-end <= plain.min() and plain.max() < end", "True"),
            ('{("add", sum_bits): given.words, ', "{"),
            ("filters=filters // self.groups", "filters=filters"),
            ("Operand(self.weights.size, self._weight_bits())", "Operand(self.weights.size, self.weight_format.bits)"),
            ("if register.bits < needed:", "if register.bits <= needed:"),
            ("record.bill(work.taps, operand_bits, output.bits, ", "record.bill(work.taps, operand_bits, operand_bits, "),
        ),
    ),
    "layers/window_operands.py": (
        f"{BILLS} unit/layers/test_zero_points.py",
        (
            ("max(self.input_format.bits, self.weight_format.bits)", "self.input_format.bits"),
            ("min(x_low, w_low), max(x_high, w_high)", "min(x_low, w_low), x_high"),
            ("min(x_low, w_low), max(x_high, w_high)", "x_low, max(x_high, w_high)"),
            ("bits_for(taps * low, taps * high)", "bits_for(low, high)"),
            ("kept = zero if self._arithmetic.shared_scale else 0", "kept = 0"),
            ("w.minimum - most + kept << w_places", "w.minimum + kept << w_places"),
            ("(record.codec.largest(self._weight_bits()) - 1).bit_length()", "0"),
            ("self._grid() ** self._arithmetic.degree", "self._grid()"),
            ("min(self.input_format.scale, self.weight_format.scale)", "self.input_format.scale"),
        ),
    ),
    "layers/max_pool.py": (
        BILLS,
        (
            ("rows * columns - output.words", "rows * columns"),
            ("sum(axis.taps)", "sum(axis.inside)"),
        ),
    ),
    "layers/average_pool.py": (
        f"{BILLS} unit/layers/test_pooling.py",
        (
            ("bits_for(0, most - 1, signed=False)", "bits_for(0, most, signed=False)"),
            ("* taps - output.words", "* taps"),
            ("factor_counts(factors, sum_bits,", "factor_counts(factors, given.bits,"),
            ("self.gain / (divisors if (divisors != divisors[0]).any() else divisors[:1])", "self.gain / divisors[:1]"),
            ("Bill(counts, accumulator_bits=sum_bits)", "Bill(counts)"),
            ("axis.taps if layer.count_padding else axis.inside", "axis.inside"),
            ("axis.taps if layer.count_padding else axis.inside", "axis.taps"),
            ("np.repeat(multiplier, channels)", "np.tile(multiplier, channels)"),
            ("if layer.divisor is None else", "if True else"),
        ),
    ),
    "arithmetic/pooling.py": (
        f"{BILLS} unit/layers/test_pooling.py",
        (
            ("min(stop, size + after)", "stop"),
            ("start if start >= 0 else start % dilation", "max(start, 0)"),
            ("-(-(i + 1) * size // outputs)", "(i + 1) * size // outputs"),
        ),
    ),
    "layers/concat.py": (
        f"{BILLS} {LAYERS}/test_joins.py",
        (
            ("(codes.minimum < output.minimum) + ", ""),
            ("min(one.minimum for one in found)", "max(one.minimum for one in found)"),
        ),
    ),
    "layers/product.py": (
        f"{BILLS} {LAYERS}/test_joins.py",
        (
            ("max(first.bits, second.bits)", "first.bits"),
            (" or self.inputs[0] == self.inputs[1]", ""),
            ("min(plan.how.multiplier_bits, MOST_MULTIPLIER_BITS)", "plan.how.multiplier_bits"),
        ),
    ),
    "layers/clip.py": (
        f"{BILLS} {LAYERS}/test_joins.py",
        (
            ("(given.minimum < low) + ", ""),
            ("self.low is not None and self.low >= 0", "self.low is not None and self.low > 0"),
            ("self.high is None or self.high >= 0", "True"),
        ),
    ),
    "layers/table.py": (
        f"{LAYERS}/test_table.py",
        (
            ('output.rounding_for("half-even")', '"truncate"'),
            ("source.minimum, source.maximum + 1)", "0, source.maximum - source.minimum + 1)"),
        ),
    ),
    "layers/pieces.py": (
        f"{BILLS} {LAYERS}/test_table.py",
        (
            ("(left.max(axis=1) + left.min(axis=1)) // 2", "left.max(axis=1)"),
            ("max(self.multiplier_bits, self.place_bits)", "self.multiplier_bits"),
        ),
    ),
    "layers/interpolate.py": (
        f"{BILLS} {LAYERS}/test_interpolate.py",
        (
            ("2 * words", "words"),
            ("            bits += self.fraction_bits\n", ""),
            ("np.where(fractions > 0, places[1], places[0])", "places[0]"),
        ),
    ),
    "layers/normalise.py": (
        f"{BILLS} {LAYERS}/test_normalise.py",
        (
            ("squares - total * total", "squares"),
            ("(squares << 2 * bits)", "squares"),
            ("self.epsilon * group * group", "self.epsilon * group"),
            ("return max(-self.source.minimum, self.source.maximum)", "return self.source.maximum"),
        ),
    ),
    "layers/softmax.py": (
        f"{BILLS} {LAYERS}/test_softmax.py",
        (
            ("HAS_OWN_SCALE = True", "HAS_OWN_SCALE = False"),
            ("self.lower[below % self.lower.size]", "self.lower[0]"),
            ("if source.bits <= LARGEST_TABLE_BITS else", "if True else"),
        ),
    ),
    "layers/falling.py": (
        f"{LAYERS}/test_normalise.py {LAYERS}/test_softmax.py",
        (
            ("((first + last) / 2 - middle) / 2", "0 * first"),
            ("np.minimum(self.shift + exponent, 62)", "self.shift + exponent"),
        ),
    ),
    "kernels/zero_points.py": (
        "properties/test_kernels_zero_points.py",
        (
            (
                "less_zero_points(weights, of_weights, -zero_point), zero_point)",
                "less_zero_points(weights, of_weights), zero_point)",
            ),
            (
                "less_zero_points(weights, of_weights, -zero_point), zero_point)",
                "less_zero_points(weights, of_weights, -zero_point))",
            ),
            ("return cls(weights, zero_point, zero_point, of_weights)", "return cls(weights, 0, zero_point, of_weights)"),
            ("return cls(plain, zero_point, zero_point)", "return cls(plain, zero_point)"),
        ),
    ),
    "kernels/prepared_rescale.py": (
        "properties/test_kernels_zero_points.py",
        (
            ("sums.largest + self.most", "sums.largest"),
            (" and sums.ordered is None", ""),
        ),
    ),
    "layers/rescale.py": (
        f"{LAYERS}/test_rescale.py",
        (
            ("bias=added or given.constant_due", "bias=added"),
            ("requantisation_rule(rule).dense or rule if dense else rule", "rule"),
        ),
    ),
    "quantization/asymmetric.py": (
        "unit/quantization/test_zero_points.py",
        (
            ("stored == bits and how.clips(layer.arithmetic)", "stored == bits"),
            ("stored == bits and how.clips(layer.arithmetic)", "how.clips(layer.arithmetic)"),
            ("takes = _TAKE_THEM[layer.kind()] and not isinstance(layer, AveragePool)", "takes = True"),
        ),
    ),
    "kernels/mantissas.py": (
        f"{LAYERS}/test_normalise.py",
        (("    exponent -= x >> exponent == 0", "    exponent -= 0"),),
    ),
    "layers/narrowing.py": (
        f"{BILLS} unit/layers/test_pooling.py",
        (
            ("multiplies = any(multiplier != 1 for multiplier in multipliers)", "multiplies = True"),
            ("    if any(shifts):", "    if True:"),
            ("any(multiplier != 1 for", "all(multiplier != 1 for"),
            ("bits + multiplier_bits * multiplies", "bits"),
            ("max(bits, multiplier_bits)", "multiplier_bits"),
        ),
    ),
    "layers/add.py": (
        BILLS,
        (
            ("max(one.bits for one in inputs) + 1", "max(one.bits for one in inputs)"),
            ("max(one.bits for", "min(one.bits for"),
        ),
    ),
    "layers/affine.py": (
        f"{BILLS} {PIPELINE}",
        (
            ("(self.multiplier != 1, self.addend, self.shift)", "(self.multiplier, self.addend, self.shift)"),
            ("given.bits + self.multiplier_bits if multiplies else given.bits", "given.bits + self.multiplier_bits"),
            ("max(given.bits, self.multiplier_bits)", "given.bits"),
            (" + 6 * shifts", ""),
            ("np.minimum(shift, np.minimum(room, MAX_SHIFT))", "np.minimum(shift, MAX_SHIFT)"),
            ("common = np.minimum(zeros, shift)", "common = 0 * shift"),
            ("shift -= np.abs(np.rint(np.ldexp(reals, shift))) > limit", "shift -= 0"),
            ("self.multiplier * first.addend + self.addend", "first.addend + self.addend"),
            ("plan.how.power_of_two and bool(", "bool("),
            ("self.addend / output.scale", "self.addend"),
        ),
    ),
    "layers/activation.py": (
        BILLS,
        (
            ("ends = 1 if self.maximum is None else 2", "ends = 1"),
            ("bound < output.maximum else None", "bound <= output.maximum else None"),
        ),
    ),
    "arithmetic/codecs.py": (
        "unit/arithmetic/test_codecs.py unit/layers/test_bills.py",
        (
            ('side="left"', 'side="right"'),
            ("(levels[1:] + levels[:-1]) / 2", "levels[1:]"),
            ("np.where(values < 0, -chosen, chosen)", "np.where(values <= 0, -chosen, chosen)"),
            ("if asked < self.fewest:", "if asked <= self.fewest:"),
            ("return min(asked, self.most)", "return asked"),
            ("range((1 << (bits - 1)) - 1))", "range(1 << (bits - 1)))"),
            ("max(2, bits_for(-most, most))", "bits_for(-most, most) + 1"),
            ("if held.bits not in widths or not held.signed:", "if held.bits not in widths:"),
            ("else self.levels(bits)[-1]", "else self.format(bits).maximum"),
        ),
    ),
    "arithmetic/datapaths.py": (
        BILLS,
        (
            ('("cmp", "mux", "mux", "sub")', '("cmp", "mux", "sub")'),
            ('("sub", "sub", "mux"), "sub"', '("sub", "sub", "mux"), "add"'),
            ('_MAC, ("mul",), "add"', '_MAC, ("mul",), "sub"'),
            ('("sub", "xor", "mul"), "sub"', '("sub", "mul"), "sub"'),
            ("((self.accumulation, accumulator_bits), sums)", "((self.accumulation, operand_bits), sums)"),
            ("-(-window // self.together)", "window // self.together"),
            ('_TERNARY, ("mux", "xor")', '_TERNARY, ("xor",)'),
            ('_SHIFT, ("shift", "mux", "xor")', '_SHIFT, ("mux", "xor")'),
        ),
    ),
    "arithmetic/arithmetics.py": (
        BILLS,
        (
            ('paper_operations=("add", "mul", "add")', 'paper_operations=("mul", "add")'),
            ('paper_operations=("add", "add")', 'paper_operations=("add",)'),
            ("term=lambda x, w: -abs(x - w)", "term=lambda x, w: -max(x, w)"),
        ),
    ),
    "arithmetic/fixed.py": (
        "unit/arithmetic",
        (
            ("-int(minimum) - 1 if minimum < 0", "-int(minimum) if minimum < 0"),
            ("remainder >= half if", "remainder > half if"),
            ("(floor & 1 == 1)", "(floor & 1 == 0)"),
            ("1 if self.bits <= 8 else 2", "1 if self.bits < 8 else 2"),
            ("values - floor >= 0.5", "values - floor > 0.5"),
            ("np.clip(codes, self.minimum, self.maximum)", "np.clip(codes, -self.maximum, self.maximum)"),
        ),
    ),
    "arithmetic/geometry.py": (
        "unit/arithmetic",
        (
            ("        outputs = room // stride + 1", "        outputs = -(-room // stride) + 1"),
            ("last >= size or", "last > size or"),
            (" * stride >= size + before", " * stride > size + before"),
            ("stride >= size + before", "stride >= size + after"),
            ("(self.far_padding or self.padding)[axis]", "self.padding[axis]"),
            ("if taps > MAX_TAPS:", "if taps >= MAX_TAPS:"),
            ("if outputs * taps > MAX_WORK:", "if outputs * taps >= MAX_WORK:"),
            ("start + reach < 0 or", "start + reach <= 0 or"),
        ),
    ),
    "arithmetic/ops.py": (
        "unit/arithmetic",
        (
            ("            if number:", "            if True:"),
            ("totals.get(key, 0) + number", "number"),
            ("if bits < 1 or number < 0:", "if bits < 1:"),
        ),
    ),
}
