"""What the channels of a network mean: from label maps to what it learns, and back to particles."""
