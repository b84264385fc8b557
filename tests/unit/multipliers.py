"""Multipliers for tests, by formula."""

import numpy as np

from addersim import MultiplierTable

BYTES = np.arange(256)


def multiplier(cut=0, signed=False, name="truncated", **price):
    """The array multiplier without the partial products of its `cut` lowest columns; of signed operands, by magnitudes."""
    codes = BYTES - 128 * signed
    bits = np.abs(codes)[:, None] >> np.arange(8) & 1
    kept = [(i, j) for i in range(8) for j in range(8) if i + j >= cut]
    products = sum((np.outer(bits[:, i], bits[:, j]) << (i + j) for i, j in kept), np.zeros((256, 256), np.int64))
    return MultiplierTable.of(np.where(np.outer(codes, codes) < 0, -products, products), signed=signed, name=name, **price)


def arbitrary(seed, signed=False, largest=2**31 - 1, name="arbitrary"):
    """Any numbers."""
    products = np.random.default_rng(seed).integers(-largest, largest, (256, 256), endpoint=True)
    return MultiplierTable.of(products, signed=signed, name=name)
