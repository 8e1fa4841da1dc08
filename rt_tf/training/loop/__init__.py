"""The training loop: step by step through phases, resumable, with checkpoints and guards."""
