"""Size distributions: samples of particles, statistics with intervals, fits, comparisons."""
