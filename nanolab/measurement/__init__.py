"""Size distributions: samples of particles, statistics with intervals, fits, comparisons."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
