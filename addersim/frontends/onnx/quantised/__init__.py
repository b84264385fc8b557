"""ONNX files that were quantised elsewhere (QDQ, QOperator, QONNX) become a `Program` on the very codes that they hold."""
