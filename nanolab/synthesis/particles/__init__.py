"""Particle shapes as closed triangle meshes: templates, their surfaces and insides."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
