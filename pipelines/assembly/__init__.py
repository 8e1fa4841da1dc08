"""From flags to the library's objects, and what does not go together."""
