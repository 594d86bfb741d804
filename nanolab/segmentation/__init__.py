"""A trained network applied to images: from a micrograph of any size to its particles."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
