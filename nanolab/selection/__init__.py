"""Choosing the epoch that segments best: by eye, by score, or without annotation."""
