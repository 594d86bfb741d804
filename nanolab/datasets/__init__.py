"""Annotated images: data sets on disk, public data, annotations of other programs, exports."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
