"""All flags: their kinds, defaults, validation and help. Nothing here imports TensorFlow."""
