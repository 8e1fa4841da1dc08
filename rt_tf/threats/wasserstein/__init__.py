"""The Wasserstein threat: its ball, and projections onto it by Sinkhorn iterations and couplings."""
