"""A micrograph and its scale, label maps, and the files that hold them."""
