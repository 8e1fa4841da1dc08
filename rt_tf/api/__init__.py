"""The Python door: one call for what a command does, arrays in and arrays out.

`import rt_tf` offers these functions without importing any of it before it is used.
"""
