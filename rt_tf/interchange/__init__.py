"""Networks and properties of other tools: ONNX and VNN-LIB files."""
