"""Programs of ours as ONNX files that other runtimes run.

- `held`: how codes lie in a file, whose values are all of one type; `nodes`: a graph in the making.
- `qdq`: what each kind of layer becomes between DequantizeLinear and QuantizeLinear; `qonnx`: what differs where
  Quant says codes; `export`: from a program to a file.
"""
