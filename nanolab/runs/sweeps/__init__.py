"""Many runs of a notebook from one YAML file, here or on a cluster, and the table that they give."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
