"""Certification: verdicts by a ladder of bound methods, cheapest first."""
