"""Annotated images: data sets on disk, public data, annotations of other programs, exports."""
