"""The commands' work, one stage after another."""
