"""TFLite files of int8 and uint8 networks become programs: `lower_tflite`.

To add an operator: a row in the table of `arithmetic`, `moves`, `pooling` or `windows`, and a network of it in the tests.
"""

from addersim.frontends.tflite.lower import lower_tflite

__all__ = ["lower_tflite"]
