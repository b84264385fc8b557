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
    "train/cuda/depthwise.cu": (
        TESTS,
        (
            ("right < 0 || ", ""),
            ("if (first + r < out_width) keep", "keep"),
            ("early = padding_x % STRIDE", "early = 0"),
            ("if ((r - column) % STRIDE == 0)", ""),
            ("images * out_height * runs)", "images * out_height)"),
        ),
    ),
    "train/cuda/device.py": (
        "unit/train/test_cuda_device.py",
        (
            ("if chosen is None:", "if chosen is None or len(candidates) > 1:"),
            ("times.index(min(times))", "0"),
            ("len(candidates), sizes)", "len(candidates))"),
            ("@cache\ndef _stream", "def _stream"),
        ),
    ),
    "train/replay.py": (
        "unit/train/test_replay.py",
        (
            ("pixels.shape == self._shape", "True"),
            ("buffer.data.copy_(was)", "pass"),
            (" and not any(hooks)", ""),
            ('self.network.__dict__.pop("forward", None)', "pass"),
        ),
    ),
    "train/precision.py": (
        "unit/train/test_replay.py",
        (("place.fp32_precision = precision", "pass"), ('x.device.type != "cuda" or', "")),
    ),
}
