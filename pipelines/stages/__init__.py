"""The stages of the commands' work, which use TensorFlow."""
