"""Texts to types."""
