"""Where particles lie: positions and turns, with no knowledge of images or Blender."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
