"""One-line faults of the CUDA kernels: each breaks their source as a CPU runs it, or what is launched for it."""

TESTS = "emulated/test_cuda.py"

CHANGES = {
    "train/cuda/loaders.cuh": (
        TESTS,
        (
            ("term < terms ? x : 1u << 31", "x"),
            ("is_row ? (unsigned)top : 1u << 31", "(unsigned)top"),
            ("at < last && Slots::is_mine()", "Slots::is_mine()"),
            (" && Slots::column() < left_over", ""),
        ),
    ),
    "train/cuda/windows.cu": (
        TESTS,
        (
            ("while (first < repeat &&", "while (first + 1 < repeat &&"),
            ("if (first >= pixels) return;", ""),
            ("min(from + split, pixels)", "from + split"),
        ),
    ),
    "train/cuda/tile.cuh": (
        TESTS,
        (
            ("(1ull << (31 + bits)) + by - 1", "(1ull << (31 + bits))"),
            ("if (e < left_over) keep", "keep"),
        ),
    ),
    "train/cuda/packed.cu": (TESTS, (("e = 1; e < 4", "e = 1; e < 3"),)),
    "train/cuda/depthwise.cu": (TESTS, (("right < 0 || ", ""), ("if (first + r < out_width) keep", "keep"))),
    "train/cuda/device.py": (
        "unit/train/test_cuda_device.py",
        (("key not in known and not", "not"), ("times.index(min(times))", "0")),
    ),
}
