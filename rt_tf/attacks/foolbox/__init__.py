"""Attacks of the Foolbox library, as attacks of this one."""
