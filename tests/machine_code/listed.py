"""The kernels whose machine code is read, and the least share of floating-point instructions that each is to have."""

from dataclasses import dataclass

from addersim.train.cuda import launches

__all__ = ["KERNELS", "Kernel"]

GOAL = 0.9
"""Of tiles with eight rows a thread, whose operands come four or eight channels at a time."""


@dataclass(frozen=True)
class Kernel:
    """One kernel as NVRTC names it. No share is asked of a kernel that memory bounds."""

    name: str
    threads: int
    least: float = 0.0

    def __str__(self):
        return self.name


def _tiled(start, tiles, least):
    """Each tile's kernel; those of sixteen sums a thread, for few rows or columns, load more for each of them."""
    return [Kernel(f"{start}{tile}>", tile.across * tile.down, least if tile.rows == 8 else least - 0.15) for tile in tiles]


KERNELS = [
    *_tiled("l1_forward<float,float,4,", launches.FORWARD_TILES, GOAL),
    *_tiled("l1_forward<float,float,1,", launches.FORWARD_TILES, 0.82),
    *_tiled("l1_forward<float16,float,4,", launches.FORWARD_TILES, 0.86),
    *_tiled("l1_forward<bfloat16,bfloat16,4,", launches.FORWARD_TILES, 0.86),
    *_tiled("l1_forward_packed<", launches.PACKED_TILES, GOAL),
    *_tiled("l1_input_gradient<float,float,4,", launches.INPUT_TILES, GOAL),
    *_tiled("l1_input_gradient<float,float,1,", launches.INPUT_TILES, 0.85),
    *_tiled("l1_input_gradient<float,float16,4,", launches.INPUT_TILES, GOAL),
    *_tiled("l1_sign_filter_gradient<float,float,4,4,", launches.SIGN_TILES, 0.88),
    *_tiled("l1_sign_filter_gradient<float,float16,4,4,", launches.SIGN_TILES, 0.88),
    *_tiled("l1_sign_filter_gradient<float,float,1,4,", launches.SIGN_TILES, 0.75),
    Kernel("l1_depthwise_forward<float,float,3,1,8>", launches.THREADS),
    Kernel("l1_depthwise_forward<float,float,3,1,1>", launches.THREADS),
    Kernel("l1_depthwise_input_gradient<float,float>", launches.THREADS),
    Kernel("l1_depthwise_input_gradient_by_runs<float,float,3,1,8>", launches.THREADS),
    Kernel("l1_depthwise_input_gradient_by_runs<float,float,3,2,8>", launches.THREADS),
    Kernel("l1_depthwise_sign_filter_gradient<float,float,3,1,8>", launches.THREADS),
    Kernel("l1_depthwise_sign_filter_gradient<float,float,3,1,1>", launches.THREADS),
]
