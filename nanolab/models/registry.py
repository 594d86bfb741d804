"""Parts by name, imported only when asked for, because torch and MONAI take seconds."""

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from nanolab.core.checks import InputError

__all__ = ["look_up"]


def look_up(registry: Mapping[str, str], name: str, what: str) -> Callable[..., Any]:
    """Return the maker that `registry` holds as "module:function" under `name`; it checks its options when called.

    Raises
    ------
    InputError
        If `name` is not in the registry, or, when the maker is called, if it has no such option.
    """
    if name not in registry:
        raise InputError(f"{what}: must be one of {', '.join(registry)}, got {name!r}; choose one of these")
    module, function = registry[name].split(":")
    maker = getattr(import_module(module), function)

    def make(*args: Any, **options: Any) -> Any:
        try:
            inspect.signature(maker).bind(*args, **options)
        except TypeError as error:
            known = ", ".join(inspect.signature(maker).parameters)
            raise InputError(f"{what} {name}: {error}; it takes {known}") from error
        return maker(*args, **options)

    return make
