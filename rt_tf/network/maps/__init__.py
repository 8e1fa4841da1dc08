"""Maps that are bilinear in a value and a kernel, such as convolutions and their transposes."""
