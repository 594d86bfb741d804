"""How good a segmentation is, by pixels and by particles."""
