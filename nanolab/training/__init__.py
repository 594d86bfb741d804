"""Training: settings, patches, the loop, what it leaves on disk, and choosing an epoch."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
