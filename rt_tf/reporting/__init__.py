"""What a run proved and how that is shown: records, report, plots, export."""
