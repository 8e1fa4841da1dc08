"""The Wasserstein threat: its ball, and projections onto it by Sinkhorn and by couplings."""
