import numpy as np
import torch
import torch.nn.functional as F

from addersim.layers.base import Layer


class Table(Layer, frozen=True, tag="table"):
    function: str
    parameters: tuple[float, ...] = ()
    slopes: np.ndarray | None = None

    def shape(self, *i):
        return i[0]

    def run(self, *v, threads=None):
        x = torch.from_numpy(np.ascontiguousarray(v[0]))
        p = self.parameters
        f = {
            "hard_swish": F.hardswish,
            "silu": F.silu,
            "sigmoid": torch.sigmoid,
            "gelu": F.gelu,
            "reciprocal": torch.reciprocal,
            "square": torch.square,
            "sqrt": torch.sqrt,
            "abs": torch.abs,
            "tanh": torch.tanh,
            "round": torch.round,
            "floor": torch.floor,
            "exp": torch.exp,
        }
        if self.function == "leaky_relu":
            y = F.leaky_relu(x, p[0])
        elif self.function == "hard_sigmoid":
            y = F.hardsigmoid(x)
        elif self.function == "prelu":
            y = torch.where(x > 0, x, x * torch.from_numpy(self.slopes))
        else:
            y = f[self.function](x)
        return y.numpy()
