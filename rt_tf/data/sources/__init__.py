"""Sources: a file for each way to name data, and what all of them come to."""
