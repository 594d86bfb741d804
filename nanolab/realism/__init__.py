"""How close synthetic micrographs are to real ones: patches, features, distances, profiles, and a report of it all."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
