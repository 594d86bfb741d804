"""Layers of a substrate: films, and the dirt on them."""
