"""JupyterLab over the whole repository, whose notebooks still begin where their paths do."""

from typing import Any

from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager

__all__ = ["KernelsAtRoot"]


class KernelsAtRoot(AsyncMappingKernelManager):
    """Starts all kernels in the server's root, wherever their notebooks are: there the paths in notebooks begin."""

    def cwd_for_path(self, path: str, **options: Any) -> str:  # noqa: ARG002  # as Jupyter calls it
        """Return the folder in which the kernel of a notebook begins."""
        return str(self.root_dir)
