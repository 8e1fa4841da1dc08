"""Other people's networks and properties: ONNX and VNN-LIB files."""
