"""Write addersim/data/fashion_mnist_2000.npz: the first 2,000 of the 10,000 official test images, in their order.

    python tools/embed_fashion_mnist.py [FOLDER OF THE IDX FILES]

Nothing is selected or altered, so accuracies on it estimate those on the full test set. Fashion-MNIST is by Zalando
Research, MIT licence.
"""

import sys
from pathlib import Path

import numpy as np

from addersim.datasets import load

images = load("fashion-mnist", sys.argv[1] if len(sys.argv) > 1 else None, "test", limit=2_000)
target = Path(__file__).parent.parent / "addersim" / "data" / "fashion_mnist_2000.npz"
np.savez_compressed(target, pixels=images.pixels, labels=images.labels.astype(np.uint8))
print(f"{target.name}: {len(images)} images, {target.stat().st_size:,} bytes")
