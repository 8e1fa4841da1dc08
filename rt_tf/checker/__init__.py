"""The independent check of proofs (docs/proofs.md): NumPy and the standard library alone."""
