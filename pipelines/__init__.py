"""The commands: from flags, by the library, to files."""
