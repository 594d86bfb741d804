"""Annotations in the formats of other programs."""
