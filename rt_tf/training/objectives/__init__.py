"""The objective of training and its terms, and the objective of a phase."""
