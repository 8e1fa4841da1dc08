"""What the commands do, one stage after another."""
