"""Annotations of micrographs as annotation tools write them: read into label maps, and written from them."""
