"""The library's objects from flags, and refusals of flags that do not go together."""
