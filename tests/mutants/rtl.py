"""Faults of the Verilog, of what runs it, and of golden vectors."""

LAYERS = "agreement/test_rtl_layers.py"
SHAPES = f"{LAYERS}::test_any_layer_has_its_sums_and_cycles {LAYERS}::test_cycles_are_those_of_the_estimate"
WRAPS = f"{LAYERS}::test_registers_and_codes_wrap_as_the_simulator_has_them"
OPERANDS = f"{LAYERS}::test_zero_points_are_taken_from_the_operands_and_registers_saturate"
WINDOWS = f"{LAYERS}::test_layers_equal_the_reference {WRAPS} {OPERANDS}"
FUNCTIONS = "agreement/test_rtl_functions.py"
ELEMENTS = "agreement/test_rtl_elements.py::test_simulators_confirm_the_elements"
TABLES = "agreement/test_rtl_elements.py::test_elements_of_tables_equal_the_multiplier"
COMPILED = "agreement/test_rtl_compiled.py"
GOLDEN = "agreement/test_golden_vectors.py"
FILES = "agreement/test_golden_files.py"
VERIFY = "agreement/test_verify.py"
VERILOG = "agreement/test_verify_verilog.py"
REFUSED = f"{VERILOG}::test_what_cannot_be_run_is_told_in_one_line"
CODES = f"{FILES}::test_codes_are_as_wide_as_their_format"
MULTIPLIER = f"{VERIFY}::test_layers_of_an_approximate_multiplier_have_its_table"
TOOLS = "unit/rtl/test_tools.py"
STOPPED = f"{TOOLS}::test_what_takes_too_long_ends_with_all_that_it_started"
NARROWING = f"{FUNCTIONS}::test_narrowing_alone_equals_the_reference"
REALS = f"{FUNCTIONS}::test_rules_of_floats_are_right_bit_for_bit"
PARTS = f"{FUNCTIONS}::test_images_that_are_shared_out_equal_the_reference"
BY_TABLE = f"{LAYERS}::test_multipliers_that_are_tables_run_in_verilog"
OWN_CIRCUIT = f"{LAYERS}::test_adder_layers_run_on_their_own_circuit"

CHANGES = {
    "rtl/shapes.py": (
        f"{SHAPES} {FUNCTIONS}::test_pooling_layers_equal_the_reference",
        (
            ("stride_x=geometry.stride[1]", "stride_x=geometry.stride[0]"),
            ("padding_y=geometry.padding[0]", "padding_y=geometry.padding[1]"),
            ("dilation_x=geometry.dilation[1]", "dilation_x=geometry.dilation[0]"),
            ("down * across * (in_time - 2)", "down * across * (in_time - 1)"),
        ),
    ),
    "rtl/layers.py": (
        f"{LAYERS}::test_layers_equal_the_reference",
        (
            ("given[4:]", "given[:3]"),
            ("given[:4]", "given[1:2] * 4"),
        ),
    ),
    "rtl/functions.py": (
        f"{NARROWING} {PARTS} {REALS} {FUNCTIONS}::test_pooling_layers_equal_the_reference",
        (
            ("output.bits, output.signed, wrap=True", "output.bits, wrap=True"),
            ("wrap=True), last.minimum, last.maximum", "wrap=True), output.minimum, output.maximum"),
            ("last = then or output", "last = output"),
            ("output.minimum if low is None else low", "output.minimum"),
            ("np.clip(places - divisor_places, -31, 127)", "np.clip(places, -31, 127)"),
            ('x.dtype.kind == "i"', "True"),
            ("values[:, i : i + 1, j : j + 1]", "values[:, j : j + 1, i : i + 1]"),
        ),
    ),
    "rtl/units.py": (
        NARROWING,
        (("np.broadcast_to(one, sums.shape)", "np.broadcast_to(np.asarray(one).flat[0], sums.shape)"),),
    ),
    "rtl/engine.py": (
        f"{WINDOWS} {WRAPS} {OPERANDS} {OWN_CIRCUIT} {BY_TABLE}",
        (
            ("usual.operands.outside & mask", "0"),
            ("zero_points=usual.operands.zero_point != 0", "zero_points=False"),
            ('saturate=usual.register.overflow == "saturate"', "saturate=False"),
            ("ends = min(0, int(usual.products.min())), max(0, int(usual.products.max()))", "pass"),
            ("**asdict(unit)", "rule=unit.rule"),
        ),
    ),
    "rtl/compiled.py": (
        COMPILED,
        (
            ("for text in (name, verilog[name])", "for text in (name,)"),
            ("if (bits > 32) port.data[port.chunks - 1] = (uint32_t)(word >> 32);", ""),
            ("if settled < clocks:", "if False:"),
        ),
    ),
    "rtl/elements.py": (
        ELEMENTS,
        (
            ("LATENCY = 2", "LATENCY = 1"),
            ('("SATURATE", int(self.saturate))', '("SATURATE", 0)'),
            ('("WEIGHT_SIGNED", int(self.weight_signed))', '("WEIGHT_SIGNED", 1)'),
            ('"clear": filled(first)', '"clear": filled(first) | 1'),
        ),
    ),
    "rtl/simulators.py": (
        f"{ELEMENTS} {VERIFY}::test_unknown_bits_are_wrong {VERIFY}::test_simulators_that_are_not_there_are_told",
        (
            ("start += 4 * -(-bits // 4)", "start += bits"),
            ("not _HEXADECIMAL.fullmatch", "False and _HEXADECIMAL.fullmatch"),
            ("if find_tool(program) is None", "if False"),
        ),
    ),
    "rtl/sources.py": (
        f"{TABLES} {BY_TABLE}",
        (
            ('return ("-DPRODUCTS",) if PRODUCTS in verilog else ()', "return ()"),
            ("word & 0xFFFFFFFF", "word & 0xFFFF"),
        ),
    ),
    "rtl/probe.py": (
        VERILOG,
        (
            ("if ours.get(name) != source:", "if name not in ours:"),
            ("found[2] not in given and not", "not"),
            ("//(?!.*\\*/)", "//"),
            ('[^"\\\\\\n]*//', ".*//"),
            ("|\\$\\w*``", ""),
            ("write_verilog -noattr -extmem", "write_verilog -extmem"),
            ("limit_s=LIMIT_S", "limit_s=3 * LIMIT_S"),
        ),
    ),
    "rtl/tools.py": (
        f"{TOOLS}::test_a_tool_that_fails_or_is_killed_is_told {TOOLS}::test_memory_has_an_end"
        f" {TOOLS}::test_a_tool_outlives_nobody_for_long {STOPPED} {REFUSED}",
        (
            ("if process.returncode:", "if process.returncode > 0:"),
            ("os.killpg(process.pid, signal.SIGKILL)", "process.kill()"),
            ("if most is not None and hasattr", "if False and hasattr"),
            ('"RLIMIT_CPU", None if', '"RLIMIT_CPU", None if True or'),
            ("if status < 0:", "if False:"),
            ("if _FOUND_BY_CHECK.search(line)", ""),
        ),
    ),
    "golden/vectors.py": (
        f"{GOLDEN}::test_words_are_those_of_the_simulator {GOLDEN}::test_taps_in_groups_read_their_own_channels"
        f" {VERIFY}::test_layers_of_an_approximate_multiplier_have_its_table {FILES}::test_files_hold_the_same_words",
        (
            ("+ y * shape.dilation_y", "+ y"),
            ("row[:, None] * shape.stride_y", "row[:, None]"),
            ("filter_ // shape.group_filters * shape.group_channels", "0 * filter_"),
            ("& (x < shape.width)", ""),
            ("max(1, most // self.shape.taps)", "max(1, most)"),
        ),
    ),
    "golden/files.py": (
        f"{FILES}::test_files_hold_the_same_words {CODES} {MULTIPLIER}",
        (
            ('signed=ends["low"] < 0', "signed=False"),
            ("mask = -(-bits // 4), (1 << bits) - 1", "mask = -(-bits // 4), (1 << (bits - 1)) - 1"),
            ("        texts[PRODUCTS] =", "        _ ="),
        ),
    ),
    "golden/testbench.py": (
        f"{FILES}::test_the_test_bench_passes_and_stops_at_a_wrong_word",
        (
            ("y >= 0 && y < HEIGHT && x >= 0", "y < HEIGHT && x >= 0"),
            ("if (sum !== sums[which])", "if (0)"),
            ("clear = tap == 0;", "clear = 0;"),
        ),
    ),
    "golden/reading.py": (
        f"{FILES}::test_words_are_read_back {FILES}::test_damaged_words_are_told_in_one_line",
        (
            ("if len(lines) != count:", "if False:"),
            (" or int(line, 16) >> bits", ""),
            ("sums=signed(sums, element.accumulator_bits)", "sums=sums.view(np.int64)"),
            ('        ("channels", shape.groups * shape.group_channels),\n', ""),
            ("_LEAST.get(one.name, 1)", "0"),
            ("if element.circuit not in CIRCUITS:", "if False:"),
        ),
    ),
    "golden/verify.py": (
        f"{VERIFY}::test_a_module_of_ones_own_is_run {VERIFY}::test_unknown_bits_are_wrong"
        f" {VERIFY}::test_the_command_line_verifies_a_folder {REFUSED}",
        (
            ("(sums != expected) | unknown", "sums != expected"),
            ("words.reshape(inputs.shape)[:, -1]", "words.reshape(inputs.shape)[:, 0]"),
            ("divmod(place, len(vectors.weights))", "divmod(place, vectors.shape.taps)"),
            ("min(most, MOST_SIMULATED)", "MOST_SIMULATED"),
            ('if found.ports["sum"][1] > MOST_SUM_BITS:', "if False:"),
            ('direction != "output"]', "False]"),
        ),
    ),
    "ext/rtl/pool_layer.v": (
        f"{FUNCTIONS}::test_pooling_layers_equal_the_reference",
        (
            ("(met || input_read)", "input_read"),
            ("busy && at_y < height && at_x < width", "busy && at_x < width"),
            ("channels - channel <= L", "channels - channel < L"),
            ("result_channel <= channel;", "result_channel <= 0;"),
        ),
    ),
    "ext/rtl/residual_add.v": (
        f"{FUNCTIONS}::test_residual_additions_equal_the_reference",
        (
            (".SIGNED(FIRST_SIGNED)", ".SIGNED(0)"),
            (".SIGNED(SECOND_SIGNED)", ".SIGNED(1)"),
            ("wide_first - wide_second", "wide_second - wide_first"),
            ("kept < low ? low : ", ""),
            (".narrow(sum[OUTPUT_BITS-1:0])", ".narrow(sum[OUTPUT_BITS-1:0] ^ 1'b1)"),
        ),
    ),
    "ext/rtl/kernel_table.v": (
        TABLES,
        (
            (".SIGNED(WEIGHT_SIGNED)) extend_weight", ".SIGNED(0)) extend_weight"),
            ("INPUT_SIGNED != 0 && x[7]", "x[7]"),
            ("^ {32{carry}}", ""),
            ("+ {7'd0, w_sign}", ""),
        ),
    ),
    "ext/rtl/tap.v": (
        ELEMENTS,
        (
            ("? 1 + 2 * COMMON", "? 2 * COMMON"),
            ("(1 << (WEIGHT_BITS - 1)) - 2", "(1 << (WEIGHT_BITS - 1)) - 3"),
            ("1 + $clog2(INPUT_BITS + 1)", "$clog2(INPUT_BITS + 1)"),
            ("WEIGHT_BITS == 3 ? 2 :", "WEIGHT_BITS == 3 ? 1 :"),
        ),
    ),
    "ext/rtl/layer_output_stationary.v": (
        f"{SHAPES} {LAYERS}::test_layers_equal_the_reference",
        (
            ("drain_left <= 3 && !fold_ended", "drain_left <= 4 && !fold_ended"),
            ("valid && PLACE < rows && at_y < height", "valid && at_y < height"),
            ("walks     = walk_left != 0", "walks     = walk_left > 1"),
            ("tap_address + group * group_channels}", "tap_address}"),
        ),
    ),
    "ext/rtl/layer_weight_stationary.v": (
        f"{SHAPES} {LAYERS}::test_layers_equal_the_reference",
        (
            ("passes[TOP] && !begins[TOP]", "passes[TOP]"),
            ("of_rows[AT*32+:32] == ROW + 1 &&", ""),
        ),
    ),
    "golden/verify_layer.py": (
        "agreement/test_verify_layer.py",
        (
            ("(edges >= weights.size) & (edges < loads)", "edges < loads"),
            ("valid[:wanted]", "valid[-wanted:] - 1"),
            ("(sums != expected) | unknown", "sums != expected"),
        ),
    ),
    "ext/rtl/element_row_stationary.v": (
        "unit/hardware/gates/test_characterise.py::test_elements_of_row_stationary_arrays_add_to_sums_that_take_turns",
        (
            ("clear ? {ACCUMULATOR_BITS{1'b0}} : sum_before", "sum_before"),
            (".sum_before(held_sum)", ".sum_before(sum_before)"),
            (".INPUT_SIGNED(INPUT_SIGNED)", ".INPUT_SIGNED(1)"),
        ),
    ),
    "ext/rtl/round_even.v": (
        REALS,
        (("more || floor[0]", "floor[0]"), ("more || floor[0]", "1'b1")),
    ),
    "ext/rtl/significant.v": (
        REALS,
        (("top > 8'd23 ? top - 8'd23", "top > 8'd24 ? top - 8'd24"),),
    ),
    "ext/rtl/requantize_float.v": (
        REALS,
        (
            (".more(rest)", ".more(1'b0)"),
            ("whole > LIMIT ? LIMIT : whole;", "whole;"),
            ("{moved, lost}", "{moved, 1'b0}"),
            ('RULE == "quant-floor" ? below', 'RULE == "quant-floor" ? !below'),
        ),
    ),
    "ext/rtl/requantize.v": (
        FUNCTIONS,
        (
            ("rest == half && floor[0]", "rest == half"),
            ("shift > 8'sd31", "shift > 8'sd32"),
            ("assign scaled = word[63] ? -magnitude : magnitude;", "assign scaled = magnitude;"),
            (".SIGNED(OUTPUT_SIGNED)) extend_code", ".SIGNED(1)) extend_code"),
        ),
    ),
}
