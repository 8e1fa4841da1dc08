"""Reports: what a run proved, as tables, texts, figures and pages."""
