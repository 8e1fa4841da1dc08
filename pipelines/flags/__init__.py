"""Every flag: its kind, default, validation and help. Nothing here imports TensorFlow."""
