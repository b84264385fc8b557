"""What of a cache values between layers may take."""

import pytest

from addersim.kernels.caches import values_bytes


@pytest.mark.parametrize(
    ("level", "size", "expected"),
    [
        ("2", "1024K", 699_050),
        ("2", "64K", 200_000),
        ("2", "8192K", 1_000_000),
        ("3", "1024K", 400_000),
        ("2", "1M", 400_000),
        ("2", None, 400_000),
    ],
)
def test_two_thirds_within_bounds(tmp_path, level, size, expected):
    (tmp_path / "level").write_text(f"{level}\n")
    if size:
        (tmp_path / "size").write_text(f"{size}\n")
    assert values_bytes(tmp_path) == expected


def test_what_is_no_text_says_nothing(tmp_path):
    (tmp_path / "level").write_bytes(b"\xff\xff")
    assert values_bytes(tmp_path) == 400_000
