"""Networks, what their channels mean, and their weights; using a network needs nothing of training."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
