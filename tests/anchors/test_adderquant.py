"""Group-shared scales of AdderQuant (arXiv 2212.10200), by the rule of its authors' code."""

import numpy as np

from addersim import load_images, load_network
from addersim.layers import Window


def group_scales(largest, reach):
    """Scale of a group by the largest magnitude of its weights and by the range of the activations.

    ``QAdder2dKmeansGroupShare.set_para`` in research/cv/AdderQuant/adder_quant.py of mindspore-ai/models at cbccbde: weights
    beyond the activations are clipped to these, and the scale is that of the activations; otherwise it is the weights'.
    """
    return np.minimum(largest, reach)


def test_groups_of_the_bundled_network_would_all_have_the_one_shared_scale():
    """Which is why quantisation has no groups: of the method, what is left here is its two clamps, which it has."""
    network = load_network("lenet5-adder")
    values = dict(network.values(load_images("fashion-mnist-2000", split="train", limit=256).pixels))
    adders = [layer for layer in network.layers if isinstance(layer, Window) and layer.arithmetic == "l1"]
    assert len(adders) == 5
    for layer in adders:
        largest = np.abs(layer.weights).max(axis=(1, 2, 3))  # whatever the groups, theirs are maxima of these
        reach = np.quantile(np.abs(values[layer.inputs[0]]), 0.9997)  # `a_select_range` there
        assert np.unique(group_scales(largest, reach)).tolist() == [reach], layer.name
