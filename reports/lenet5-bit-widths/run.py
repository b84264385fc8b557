"""Accuracy of the embedded networks at 3..8 bits, adder weights clipped and not; writes results.csv beside this file.

    python reports/lenet5-bit-widths/run.py

Calibration: the 256 embedded training images. Test: the 2,000 embedded images; with a folder of the official Fashion-MNIST
files as argument, all 10,000 test images.
"""

import csv
import sys
from pathlib import Path

from addersim import LayerBits, Quantization, load_images, load_network, quantize, simulate

CASES = {
    "adder": ("lenet5-adder", {}),
    "adder, conv1 and fc3 at 8 bits": ("lenet5-adder", {"ends": 8}),
    "adder, statistics not corrected": ("lenet5-adder", {"correction": "none"}),
    "adder, weights not clipped": ("lenet5-adder", {"clip_weights": False}),
    "conv": ("lenet5-conv", {}),
    "conv, conv1 and fc3 at 8 bits": ("lenet5-conv", {"ends": 8}),
    "conv, statistics not corrected": ("lenet5-conv", {"correction": "none"}),
}
BITS = (3, 4, 5, 6, 7, 8)


def rules(bits, ends=None, **options):
    layers = {} if ends is None else {name: LayerBits(weight_bits=ends, activation_bits=ends) for name in ("conv1", "fc3")}
    return Quantization(weight_bits=bits, activation_bits=bits, layers=layers, **options)


def main(root=None):
    calibration = load_images("fashion-mnist-2000", split="train").pixels
    test = load_images("fashion-mnist", root) if root else load_images("fashion-mnist-2000")
    rows = []
    for case, (name, options) in CASES.items():
        network = load_network(name)
        for bits in BITS:
            program = quantize(network, calibration, rules(bits, **options))
            found = simulate(program, test.pixels, test.labels, network)
            rows.append(
                [case, bits, found.images, f"{found.accuracy_float:.4f}", f"{found.accuracy:.4f}", f"{found.agreement:.4f}"]
            )
            print(*rows[-1], sep="  ", flush=True)
    path = Path(__file__).with_name(f"results-{len(test)}.csv")
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([["case", "bits", "images", "accuracy_float", "accuracy", "agreement"], *rows])


if __name__ == "__main__":
    main(*sys.argv[1:2])
