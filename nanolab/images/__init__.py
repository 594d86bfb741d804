"""A micrograph and its scale, label maps, and the files that hold them."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
