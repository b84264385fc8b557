"""Faults of what reads and writes files, and of sweeps: by file the tests that are to notice, pairs of old and new text."""

FLOWS = "unit/frontends/test_flow.py agreement/test_torch_capture.py"
BORDERS = "agreement/test_pool_borders.py"
TORCH = "agreement/test_torch_capture.py"
ONNX = "unit/frontends/onnx/test_constants.py unit/frontends/onnx/test_onnx.py"
SWEEPS = "unit/exploration/sweeps/test_sweeps.py"
EXPORT = "agreement/test_onnx_export.py"
TFLITE = "unit/frontends/tflite/test_parts.py"
ENDS = "unit/frontends/tflite/test_ends.py"

CHANGES = {
    "datasets/text_tables.py": (
        "unit/train/test_own_data.py",
        (
            ("height, width = (len({one[axis] for one in placed}) for axis in (0, 1))", "height, width = 1, len(columns)"),
            ("if height and height * width == len(columns)", "if height"),
        ),
    ),
    "datasets/own.py": ("unit/cli/test_own_images.py", (("replace(found, name=called)", "found"),)),
    "cli/usage.py": (
        "unit/cli/test_cli.py::test_an_option_that_a_verb_lacks_is_told_with_the_nearest_that_it_has",
        (
            ("    if near or not studied or", "    if near or"),
            ('did_you_mean(unknown, [one for one in options if one.startswith("--")])', '""'),
        ),
    ),
    "cli/finetune.py": ("unit/cli/test_finetune.py", (("done = len(rows) - 1", "done = len(rows)"),)),
    "frontends/onnx/writing/products.py": (
        EXPORT,
        (
            ("signs.sum(axis=(1, 2, 3)))", "0 * signs.sum(axis=(1, 2, 3)))"),
            ("np.where(weights < 0, -1, 1)", "np.sign(weights - 1)"),
        ),
    ),
    "frontends/onnx/writing/steps.py": (
        EXPORT,
        (
            ("signs = np.where(slopes < 0, -1, 1)", "signs = np.ones_like(slopes)"),
            ("-(-least // steep))", "least // steep)"),
            ("% levels:", "% 1:"),
            ("gain=levels", "gain=1"),
        ),
    ),
    "frontends/tflite/slicing.py": (
        TFLITE,
        (
            ('None if call.option("BeginMask", 0) & bit else begin[axis]', "begin[axis]"),
            ("if not 0 <= begin[axis] < begin[axis] + size <= whole:", "if not 0 <= begin[axis] < begin[axis] + size:"),
            ("rest if size == -1 else size for size in sizes", "size for size in sizes"),
        ),
    ),
    "frontends/tflite/extremes.py": (TFLITE, (('complement(call, _maximum(call, first, second, ".largest"))', "first"),)),
    "frontends/tflite/functions.py": (
        f"{TFLITE} {ENDS}",
        (("np.where(steps >= 0, above, below)", "above"), ("np.abs(steps.astype(np.float64))", "np.abs(steps)")),
    ),
    "frontends/tflite/islands.py": (
        ENDS,
        (("np.where(x < 0, _fine(np.expm1)(x), x)", "_fine(np.expm1)(x)"), ("if len(steps) > MOST_STEPS or", "if")),
    ),
    "frontends/tflite/tails.py": (ENDS, (("in (-1, len(graph.tensors[scores].shape) - 1)", "in (-1, 0, 1)"),)),
    "frontends/flow.py": (
        FLOWS,
        (
            ("places = np.arange(1, int(np.prod(self.given)) + 1)", "places = np.arange(int(np.prod(self.given)))"),
            ("if shape[0] != channels or self.fills():", "if shape[0] != channels:"),
            ("return self.permute((*rest[:axis], 0, *rest[axis:]))", "return self.permute((*rest, 0))"),
        ),
    ),
    "frontends/graph.py": (
        FLOWS,
        (
            ("owners.setdefault(id(layer.weights), layer.name)", "layer.name"),
            ('given if stands_in(given) else given.copy(order="C")', "given"),
            ("replace(layer, trained=values), 0", "replace(layer, trained=values), values"),
            ("steps, target = (() if flow.renames() else flow.steps), flow.shape", "steps, target = (), flow.shape"),
        ),
    ),
    "layers/move.py": (
        FLOWS,
        (
            (
                "kept = np.where(step.indices == ZERO, ZERO, before.indices[step.indices])",
                "kept = before.indices[step.indices]",
            ),
            ("taken[(slice(None),) * (self.axis + 1) + (self.indices == ZERO,)] = zero", "pass"),
            ("regular = step > 0 and bool((np.diff(self.indices) == step).all())", "regular = step > 0"),
        ),
    ),
    "frontends/reductions.py": (
        BORDERS,
        (
            ('"far_padding": (far[0] + bottom, far[1] + right)', '"far_padding": far'),
            ("if same and channels == (0, 0)", "if same"),
        ),
    ),
    "frontends/rearranging.py": (BORDERS, (("    if value <= BELOW_ALL:", "    if value <= -1:"),)),
    "frontends/torch/state.py": (
        "agreement/test_torch_state.py",
        (("equal_nan=True)) or compare(one, other) <= TOLERANCE", "equal_nan=True)) or True"),),
    ),
    "frontends/windows.py": (
        TORCH,
        (
            ("        after[axis - 1] += behind", "        after[axis - 1] += front"),
            ("inside.size != given[step.axis] or", "False or"),
        ),
    ),
    "frontends/pointwise.py": (
        TORCH,
        (
            ("if flow.fills() and not keeps_zero:", "if False:"),
            ("bool((values != values.take([0], axis)).any())", "True"),
            ("low = high  # as torch: the upper end wins", "pass"),
        ),
    ),
    "frontends/proof.py": (
        TORCH,
        (("if worst > tolerance:", "if False:"), ("silent and not one.any()", "False")),
    ),
    "frontends/torch/adders.py": (TORCH, (("if differences[best] < TOLERANCE:", "if True:"),)),
    "frontends/torch/capture.py": (
        TORCH,
        (("return program if _is_functional(program.graph) else program.run_decompositions({})", "return program"),),
    ),
    "frontends/torch/inference.py": (
        TORCH,
        (("        vars(module).update(state)", "        vars(module).update(vars(module))"),),
    ),
    "frontends/torch/walk.py": (
        TORCH,
        (
            ("if not sizes or str(sizes[0]) != str(self.batch):", "if not sizes:"),
            ("new = (read & self.captured.trained) - self.counted", "new = read & self.captured.trained"),
        ),
    ),
    "frontends/onnx/convolutions.py": (
        ONNX,
        (
            ("else weights * alpha", "else weights"),
            (".astype(np.float64) * beta", ".astype(np.float64)"),
            ('(less, more) if mode == "SAME_UPPER"', '(less, more) if mode != "SAME_UPPER"'),
            ('if mode != "VALID" else', 'if mode != "" else'),
            ("step + spread * (taps - 1) + 1 - size)\n", "step + taps - size)\n"),
        ),
    ),
    "frontends/onnx/normalising.py": (
        ONNX,
        (('epsilon = call.attribute("epsilon", 1e-5)', 'epsilon = call.attribute("epsilon", 1e-3)'),),
    ),
    "frontends/onnx/arithmetic.py": (ONNX, (("None if high >= MARGIN else high", "high"),)),
    "frontends/onnx/walk.py": (
        ONNX,
        (("unknown = [name for name in node.outputs[given:] if name and name in self._read]", "unknown = []"),),
    ),
    "frontends/onnx/folded_arithmetic.py": (
        ONNX,
        (("np.sign(first) * np.sign(second) * (np.abs(first) // np.abs(second))", "first // second"),),
    ),
    "frontends/onnx/folded_moves.py": (ONNX, (("data.shape[place] if size == 0 else size", "size"),)),
    "frontends/onnx/constants.py": (ONNX, (("if values > most:", "if False:"),)),
    "frontends/scalesim/topology.py": (
        "unit/frontends/scalesim",
        (
            ('(channels, 1) if "DP" in name else (1, channels)', "(1, channels)"),
            ("(stride, stride_width), groups=groups)", "(stride, stride_width))"),
            ("not rules.clips(record.arithmetic.name)", "not rules.clip_weights"),
            ("not rules.clips(record.arithmetic.name)", 'record.arithmetic.name != "l1"'),
            ("-(-(height - kernel_height) // stride) + 1", "(height - kernel_height) // stride + 1"),
            ('if self._text("Stride Width") else stride', 'if self._text("Stride Width") else 1'),
            ("height * width * channels)", "height * width)"),
        ),
    ),
    "datasets/readers.py": (
        "unit/datasets",
        (
            ("return file.read(most + 1)", "return file.read(most)"),
            ("return unpacked.read(most + 1)", "return unpacked.read(most)"),
            ("if found != expected:", "if found < expected:"),
            ("if md5 and (", "if False and ("),
            ("or fortran or shape", "or shape"),
        ),
    ),
    "datasets/pictures.py": (
        "unit/datasets",
        (
            ("round(size * 8 / 7)", "size"),
            ("if image.width * image.height > MOST_PIXELS:", "if False:"),
            ("ratio = max(wanted / found", "ratio = min(wanted / found"),
            (" and not resize:", ":"),
        ),
    ),
    "datasets/layouts.py": (
        "unit/datasets",
        (
            ("part[:, label_bytes - 1]", "part[:, 0]"),
            ("chain.from_iterable(together)", "chain.from_iterable(zip(*together))"),
        ),
    ),
    "datasets/arrays.py": (
        "unit/datasets",
        (
            ("    check_declared(placed", "    (placed"),
            (" and list(given) != size", " and False"),
            ("if len(held) > 1:", "if False:"),
            ("images[places[at]]", "images[at]"),
        ),
    ),
    "datasets/folders.py": ("unit/datasets", (("[numbers[place] for", "[place for"),)),
    "datasets/parquet.py": (
        "unit/datasets",
        (
            ('searchsorted(ends, places, "right")', 'searchsorted(ends, places, "left")'),
            ("numbers.min() < 0 or numbers.max() > 255", "False"),
        ),
    ),
    "datasets/classes.py": (
        "unit/datasets",
        (
            ("if len(strange) < len(names) or listed:", "if False:"),
            ("key=int)) != list(names)", "key=int)) != list(by_number)"),
            ("len(set(map(_letters, ours))) == len(ours)", "True"),
        ),
    ),
    "datasets/find.py": (
        "unit/datasets",
        (
            ("network.classes not in ((), ours.classes)", "False"),
            ("guessed=data is None and not network.classes", "guessed=False"),
        ),
    ),
    "inputs/limits.py": (
        "unit/inputs/test_limits.py",
        (
            (" or isinstance(value, bool) or", " or"),
            ("len(match[2]) > _MOST_DIGITS", "len(match[2]) >= _MOST_DIGITS"),
            ("self.least <= operator.index(value) <= self.most", "self.least <= operator.index(value) < self.most"),
            ("if not math.isfinite(value):", "if False:"),
        ),
    ),
    "inputs/opening.py": (
        "unit/inputs/test_opening.py unit/cli/test_names.py",
        (
            ("    if missing.name in found:", "    if False:"),
            ("while not missing.parent.is_dir():", "while False:"),
            ("found.st_size > most:", "found.st_size >= most:"),
            ("    if size > most:", "    if size >= most:"),
            ("    if not content:", "    if False:"),
        ),
    ),
    "inputs/text.py": (
        "unit/inputs/test_text.py",
        (
            ("near = near or sorted(shorter, key=len)[-1:]", "pass"),
            ('else "") + printable(value)', 'else "") + value'),
            ("== _SPACE:", "== 'Zl':"),
            ('_FORMULA = tuple("=+-@', '_FORMULA = tuple("=+-'),
        ),
    ),
    "processes/unfinished.py": (
        "unit/processes/test_unfinished.py",
        (("samestat(os.fstat(handle), os.stat(name))", "samestat(os.fstat(handle), os.fstat(handle))"),),
    ),
    "processes/result_folders.py": (
        "unit/processes/test_result_folders.py",
        (
            ("if other != kind and", "if False and"),
            ("with lock_folder(place, together=together):", "with lock_folder(place, together=True):"),
            ("                one.rmdir()", "                break"),
        ),
    ),
    "storage.py": (
        "unit/test_storage.py",
        (
            ("if dtype.hasobject:", "if False:"),
            ("values.reshape(shape[::-1]).T if fortran", "values.reshape(shape) if fortran"),
            ("if len(arrays) != len(members):", "if False:"),
            ("{name} {array.dtype.str} {array.shape}", "{name}"),
            ("if total > MAX_FILE_BYTES:", "if False:"),
            ("low <= values.min() and values.max() <= high", "low <= values.min()"),
            ("or halves.size != -(-number // 2)", ""),
            ("pairs[:, 0] | pairs[:, 1] << 4", "pairs[:, 1] | pairs[:, 0] << 4"),
            ("        os.replace(beside, target)", "        pass"),
        ),
    ),
    "exploration/sweeps/store.py": (
        "unit/exploration/sweeps/test_store.py",
        (
            ("isinstance(outcome, Simulated if isinstance(key, CostKey) else Priced)", "False"),
            ("if file.checksum != _checksum(bytes(file.key), bytes(file.outcome)):", "if False:"),
            ("if bytes(file.key) != encode(key):", "if False:"),
        ),
    ),
    "exploration/sweeps/job_files.py": (
        "unit/exploration/sweeps/test_store.py",
        (
            ('cast("int", layer.operand_bits)', "layer.inputs[0].bits"),
            (".arithmetic != DATAPATHS[name].arithmetic", ".arithmetic == DATAPATHS[name].arithmetic"),
        ),
    ),
    "exploration/sweeps/prices.py": (
        SWEEPS,
        (
            ("cost.energy_pj / batch", "cost.energy_pj"),
            ("pj / batch for name", "pj for name"),
            ("with_circuit(simulated.trace, circuit)", "simulated.trace"),
        ),
    ),
    "exploration/sweeps/plan.py": (
        "unit/exploration/sweeps/test_study.py",
        (
            ("rules = replace(how, circuit=_PLAIN.circuit,", "rules = replace(how, circuit=how.circuit,"),
            ("how.circuit if adder else None", "how.circuit"),
            ("how.clip_weights if clips else _PLAIN.clip_weights", "how.clip_weights"),
        ),
    ),
    "exploration/sweeps/study.py": (
        "unit/exploration/sweeps/test_study.py",
        (
            ("int(match[2] or match[1]) + 1)", "int(match[2] or match[1]))"),
            (") > MOST_POINTS:", ") >= MOST_POINTS:"),
            ("tuple(dict.fromkeys(values))", "tuple(values)"),
        ),
    ),
    "exploration/sweeps/results.py": (
        "unit/exploration/sweeps/test_results.py",
        (
            ("max(one.bits_needed for", "min(one.bits_needed for"),
            ("sum(one.overflowed for one in seen) /", "max(one.overflowed for one in seen) /"),
        ),
    ),
    "frontends/tflite/dilated.py": (
        "unit/frontends/tflite/test_shapes.py",
        (
            ("(b[0] - c[0], b[1] - c[1])", "(b[0], b[1])"),
            ('options.get("DilationHFactor", 1) * blocks[0]', 'options.get("DilationHFactor", 1)'),
        ),
    ),
    "frontends/tflite/sizes.py": (
        "unit/frontends/tflite/test_shapes.py",
        (("math.prod(map(int, given))", "sum(map(int, given))"),),
    ),
    "layers/rescaled_add.py": (
        f"{TFLITE} unit/frontends/onnx/test_quantised_rounding.py",
        (("form.minimum + form.maximum - form.zero_point", "form.minimum + form.maximum + 1 - form.zero_point"),),
    ),
    "frontends/tflite/arithmetic.py": (
        "unit/frontends/tflite/test_joined.py",
        (("    if factor >= 1:", "    if factor >= 1e9:"),),
    ),
    "frontends/quantised_building.py": (
        "unit/frontends/onnx/test_quantised_rounding.py agreement/test_torch_quantised.py",
        [
            ("not value.of_floats and how.ends(value.low, value.high) == how.ends()", "not value.of_floats"),
            ("not value.of_floats and how.ends(value.low", "how.ends(value.low"),
            ("how.form.zero_point % 2 and how.form.bits", "False and how.form.bits"),
            ('if how.mode in ("onnx", "torch") and not (fused', 'if how.mode == "onnx" and not (fused'),
            ("if steps >= RESULT_LIMIT:", "if steps > 1e30:"),
            ("if not how.to_nearest and not how.signs:", "if False:"),
        ],
    ),
    "layers/rescaled_product.py": (
        "unit/frontends/onnx/test_quantised_rounding.py",
        [
            ('if requantisation_rule(self.rule).formula == "float":', "if False:"),
            ("if requantisation_rule(self.rule).formula in OF_REALS:", "if False:"),
        ],
    ),
    "ext/requantise.c": (
        "unit/frontends/onnx/test_quantised_rounding.py",
        [("r->by_columns && rows ? count / rows : count", "count")],
    ),
    "frontends/onnx/quantised/multithreshold.py": (
        "unit/frontends/onnx/test_qonnx_codes.py",
        (('side="right"', 'side="left"'), ("self.low + self.each * found", "self.low + found")),
    ),
    "frontends/onnx/quantised/qonnx.py": (
        "unit/frontends/onnx/test_qonnx_codes.py",
        (("how if second else _unended(how, source)", "how"), ("left = zero / places", "left = zero")),
    ),
    "frontends/quantised_multipliers.py": (
        "unit/frontends/test_quantised_multipliers.py agreement/test_torch_quantised.py",
        (
            ("factor << longer, places + longer", "factor, places"),
            ("return low + (first - low) % period <= high", "return low + first % period <= high"),
        ),
    ),
    "frontends/torch/quantised/fbgemm.py": (
        "agreement/test_torch_ao.py",
        (("for count in counts]", "for count in counts[-1:]]"),),
    ),
    "frontends/onnx/quantised/scores.py": (
        "unit/frontends/onnx/test_quantised.py",
        (("addend = reals[0] - step * low", "addend = reals[0]"), ("(1 << SCORE_BITS - 1) - 1", "(1 << SCORE_BITS) - 1")),
    ),
    "frontends/onnx/quantised/reals.py": (
        "unit/frontends/onnx/test_quantised_rounding.py",
        (('attribute("epsilon", 1e-5))) * gain', 'attribute("epsilon", 1e-5)) / gain)'),),
    ),
}
