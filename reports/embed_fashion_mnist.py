"""Write addersim/data/fashion_mnist_2000.npz: the first 2,000 official test images and the first 256 training images.

    python reports/embed_fashion_mnist.py [FOLDER OF THE IDX FILES]

Both in their order. Nothing is selected or altered, so accuracies on the test images estimate those on the full test set;
the training images are there for calibration, so that no test image chooses a number format. Fashion-MNIST is by Zalando
Research, MIT licence.
"""

import sys
from pathlib import Path

import numpy as np

from addersim.datasets import DATASETS, load

root = sys.argv[1] if len(sys.argv) > 1 else None
arrays = {}
for split, count in DATASETS["fashion-mnist-2000"].counts.items():
    images = load("fashion-mnist", root, split, limit=count)
    arrays |= {f"{split}_pixels": images.pixels, f"{split}_labels": images.labels.astype(np.uint8)}
target = Path(__file__).parent.parent / "addersim" / "data" / "fashion_mnist_2000.npz"
np.savez_compressed(target, **arrays)
print(f"{target.name}: {', '.join(f'{key} {len(value)}' for key, value in arrays.items())}; {target.stat().st_size:,} bytes")
