"""Annotated micrographs made by cutting particles out of a few annotated ones and pasting them anew."""
