"""The rows of the table of small networks, by the kind of layer that they are about."""
