"""Entry points: flags -> library -> files."""
