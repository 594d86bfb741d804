"""A page for people who measure particles and open no notebook: drop images, correct, see sizes, download."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
