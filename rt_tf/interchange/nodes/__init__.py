"""ONNX nodes as Keras layers, one file for each kind."""
