"""A notebook workbench that turns micrographs into particle size distributions.

``import nanolab as nl`` gives what a notebook needs most; the rest is in its packages, such as `nanolab.figures`.
Everything is imported when it is first used.
"""

from importlib.metadata import version

import lazy_loader as lazy

__version__ = version("nanolab")
__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
