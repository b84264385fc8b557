"""The fast kernels. Everything is checked and allocated here; `addersim._core`, which checks nothing, makes one call of it.

Values are channels last: x ``(images, height, width, channels)``, window weights
``(outputs, kernel_height, kernel_width, channels / groups)``. `kernels.reference` holds a slow twin of each function, which
is its specification. ``threads=None`` takes as many threads as OpenMP would (``OMP_NUM_THREADS``); no result depends on it.
The environment variable ``ADDERSIM_KERNELS`` forces one instruction set.
"""

from addersim.kernels.blending import blend
from addersim.kernels.core import KernelInfo, chosen_set, kernel_info
from addersim.kernels.elementwise import add, affine, clamp, look_up, multiply
from addersim.kernels.floats import forward, l1_forward, l1_input_gradient, l1_sign_filter_gradient, mac_forward
from addersim.kernels.mantissas import mantissas
from addersim.kernels.pooling import adaptive_max_pool, adaptive_sum_pool, max_pool, sum_pool
from addersim.kernels.prepared import PreparedWindow, PreparedWindowAffine, prepare_window, prepare_window_affine
from addersim.kernels.prepared_rescale import PreparedWindowRescale, prepare_window_rescale
from addersim.kernels.requantisation import requantize, rescaled_add, rescaled_mean
from addersim.kernels.softmax import softmax
from addersim.kernels.tables import look_up_codes, look_up_pieces
from addersim.kernels.windows import window, window_affine
from addersim.kernels.zeros import channels_last, zero_runs

__all__ = [
    "KernelInfo",
    "PreparedWindow",
    "PreparedWindowAffine",
    "PreparedWindowRescale",
    "adaptive_max_pool",
    "adaptive_sum_pool",
    "add",
    "affine",
    "blend",
    "channels_last",
    "clamp",
    "forward",
    "kernel_info",
    "l1_forward",
    "l1_input_gradient",
    "l1_sign_filter_gradient",
    "look_up",
    "look_up_codes",
    "look_up_pieces",
    "mac_forward",
    "mantissas",
    "max_pool",
    "multiply",
    "prepare_window",
    "prepare_window_affine",
    "prepare_window_rescale",
    "requantize",
    "rescaled_add",
    "rescaled_mean",
    "softmax",
    "sum_pool",
    "window",
    "window_affine",
    "zero_runs",
]

chosen_set()  # a wrong ADDERSIM_KERNELS is told at import, not at the first layer
