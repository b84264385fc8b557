"""ONNX: a network in a .onnx file becomes a `Network` (extra ``onnx``).

- `file`: bounded reading, constants, nodes in an order in which they can run.
- `folding`: arithmetic on constants, such as the shapes that exporters compute.
- `operators`: all rows, one function an operator, from a `call`; in `arithmetic`, `convolutions`, `moves`, `normalising` and
  `resize`.
- `image`: what the file says of its images; `walk`: nodes become values; `lower`: from a file to a network.
- `evaluator`, `proof`: the file itself, run beside the network.

ONNX has no operator for adder layers. One of domain ``addersim`` is read: ``Adder2d``, with inputs X, W and, optional, B, and
the attributes ``strides``, ``pads``, ``dilations`` and ``group`` of ``Conv``; its output is ``-sum |x - w| + b``, and padded
zeros are operands.
"""

from addersim.frontends.onnx.lower import lower_onnx

__all__ = ["lower_onnx"]
