"""All figures. Each function returns a matplotlib Figure that needs neither pyplot nor a display."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
