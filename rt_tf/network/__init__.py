"""What a Keras model is to a bound: a graph of affine, positive and activation operations."""
