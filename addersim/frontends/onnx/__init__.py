"""ONNX: a convolutional network in a .onnx file becomes a `Network` (extra ``onnx``).

- `file`: bounded reading, constants, nodes in an order in which they can run.
- `folding`: arithmetic on constants, such as the shapes that exporters compute.
- `operators`, `moves`: one function an operator, from a `call`; what becomes which layer.
- `lower`: the walk.

ONNX has no operator for adder layers. One of domain ``addersim`` is read: ``Adder2d``, with inputs X, W and, optional, B, and
the attributes ``strides``, ``pads``, ``dilations`` and ``group`` of ``Conv``; its output is ``-sum |x - w| + b``, and padded
zeros are operands.
"""

from addersim.frontends.onnx.lower import lower_onnx

__all__ = ["lower_onnx"]
