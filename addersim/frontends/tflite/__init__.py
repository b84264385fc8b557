"""TFLite: a network of int8 or uint8 codes in a .tflite file becomes a `Program` on those codes (extra ``tflite``).

- `checked`: tables of the flatbuffer whose offsets are looked at before they are followed; `schema`: the file's records as
  plain values (`records`); `file`: a graph in an order in which it can run.
- `formats`: scales, zero points and the ends of fused activations; `call`: what an operator's function is given.
- `operators`: all rows, one function an operator; in `arithmetic`, `functions`, `moves`, `pooling`, `resizing`, `windows`.
- `walk`: operators become integer layers; `lower`: from a file to a program.
"""

from addersim.frontends.tflite.lower import lower_tflite

__all__ = ["lower_tflite"]
