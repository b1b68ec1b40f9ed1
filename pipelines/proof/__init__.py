"""Certificates and attestations: what makes a change of a table believable afterwards."""
