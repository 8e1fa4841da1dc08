"""Evaluations of a network, example by example: certificates, attacks, certified radii, proofs."""
