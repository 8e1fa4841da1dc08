"""Records of examples in files: appended while running, merged, checked for consistency."""
