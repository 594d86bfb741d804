"""Models of detectors, each in a module of its own, and what they share."""
