"""Which versions of nanolab and of what it needs are installed."""

import platform
import re
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, requires, version

__all__ = ["versions"]


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Return the versions of Python, nanolab and everything that nanolab needs and is installed."""
    found = {"python": platform.python_version(), "nanolab": version("nanolab")}
    for requirement in requires("nanolab") or []:
        package = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        if "extra ==" not in requirement:
            try:
                found[package] = version(package)
            except PackageNotFoundError:
                continue  # bpy where there is none for this Python
    return found
