"""The papers' experiments: images split and drawn, a training with its test in one call; and the open benchmark."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
