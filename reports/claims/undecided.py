"""Claims that nothing here decides, each with the reason."""

from __future__ import annotations

from claim import Claim

CIFAR = "accuracy after 400 epochs on CIFAR-10, whose images are not in the package and take longer than ten minutes to learn"

CLAIMS = (
    Claim(
        "vgg-small-multiplications",
        "AdderNet",
        "VGG-small has 0.65 G multiplications",
        "Chen et al., CVPR 2020, table 1",
        "The paper does not say what its VGG-small is. The usual six convolutions and one classifier have 607,600,640 "
        "(addersim count vgg-small-conv --convention paper), larger classifiers 0.617 to 0.654 G.",
    ),
    Claim(
        "resnet20-accuracy",
        "AdderNet",
        "The adder ResNet-20 reaches 91.84 % on CIFAR-10, its twin 92.25 %",
        "Chen et al., CVPR 2020, table 1",
        f"It is {CIFAR}. Twenty epochs on a lossy copy give 83.63 and 85.66 % (reports/resnet20-cifar10).",
    ),
    Claim(
        "wsq-int8",
        "WSQ-AdderNet",
        "INT8 ResNet-20 keeps 89.9 %",
        "ICCAD 2022, abstract",
        f"It is {CIFAR}. On Fashion-MNIST the bundled LeNet-5 loses nothing at 8 bits (README, How many bits).",
    ),
    Claim(
        "addernet2-int6",
        "AdderNet 2.0",
        "INT6 is enough: 90.83 % in a third party's ResNet-20",
        "README of ckeegan12/Resnet20",
        f"It is {CIFAR}. On Fashion-MNIST the bundled LeNet-5 loses nothing at 6 bits (README, How many bits).",
    ),
    Claim(
        "redistribution-4-bits",
        "Redistribution of weights and activations",
        "Four bits after training: 66.5 % on ImageNet with ResNet-18",
        "NeurIPS 2022 (arXiv 2212.10200), abstract",
        "ImageNet's images and a trained adder ResNet-18 are not to be had; its group scales would change nothing in the "
        "bundled networks (tests/anchors/test_adderquant.py).",
    ),
    Claim(
        "winograd-energy",
        "Winograd AdderNet",
        "52.4 % less energy than an AdderNet",
        "arXiv 2105.05530, as a review at liner.com reports it",
        "Winograd's transforms are no layer here.",
    ),
    Claim(
        "euclidnets-gates",
        "EuclidNets",
        "A circuit of (x - w)^2 takes half of a multiplier's gates",
        "ICPRAM 2022, abstract",
        "No bundled energy table has a squarer; our Euclidean layers square in a full multiplier, an upper bound. With a "
        "library of cells at hand, addersim characterise synthesises both.",
    ),
    Claim(
        "hasn-energy",
        "HASN",
        "73.9 % on ImageNet at 0.612 mJ",
        "CVPRW 2022, abstract",
        "The network that its search found was not published.",
    ),
    Claim(
        "scalesim-energy",
        "SCALE-Sim v3",
        "For ViT-base a 32 x 32 array takes 2.86 times less energy than a 128 x 128 one",
        "arXiv 2504.15377, abstract",
        "The abstract ascribes it to leakage and utilisation, and names neither the memories nor the table that decide both.",
    ),
    Claim(
        "eyeriss-v2-mobilenet",
        "Eyeriss v2",
        "Sparse MobileNet at 1470.6 inferences a second and 2560.3 a joule",
        "JETCAS 2019, abstract",
        "Its elements skip zeros of weights and activations; here zeros are gated, or weights are sparse 2:4.",
    ),
    Claim(
        "ecotransformer-energy",
        "EcoTransformer",
        "Attention by L1 distances takes significantly less energy",
        "arXiv 2507.20096, abstract",
        "Attention has no layer here, and the claim no number.",
    ),
    Claim(
        "shiftaddllm-energy",
        "ShiftAddLLM",
        "A matrix product of OPT-66B takes 9.77 J instead of 80.36 J",
        "its text and GATECH-EIC/ShiftAddLLM at 1053837, energy/hw_utils.py",
        "Weights are sums of tables that are looked up, which is no arithmetic here.",
    ),
    Claim(
        "mx-formats",
        "INT v. FP",
        "MXINT8 beats MXFP8 in accuracy and area",
        "arXiv 2510.25602, abstract",
        "Block scaled formats are not there.",
    ),
)
