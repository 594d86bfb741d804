"""A notebook workbench that turns micrographs into particle size distributions.

``import nanolab as nl`` gives what a notebook needs most; the rest is in its packages, such as `nanolab.figures`.
Everything is imported when it is first used.
"""

import os
from importlib.metadata import version

import lazy_loader as lazy

# Threads of OpenMP that wait shall sleep: where another process wants the cores, spinning costs most of the time. This
# must be set before PyTorch is imported, here, in kernels and in workers; what the user has set stays.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = version("nanolab")
__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
