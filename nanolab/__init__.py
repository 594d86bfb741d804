"""A notebook workbench that turns micrographs into particle size distributions."""

from importlib.metadata import version

__version__ = version("nanolab")
__all__ = ["__version__"]
