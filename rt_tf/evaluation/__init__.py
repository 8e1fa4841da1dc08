"""What is found of a network, example by example: certificates, attacks, radii, their report."""
