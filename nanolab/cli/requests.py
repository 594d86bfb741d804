"""What a command was asked to do, written down so that it can be done again."""

import os
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any, get_type_hints

import typer
from pydantic import TypeAdapter, ValidationError

from nanolab.core.checks import InputError
from nanolab.core.files import read_json, sha256

__all__ = ["changed", "read_request", "request_of"]


def request_of(
    context: typer.Context, out: Path, files: Iterable[Path], *, without: Collection[str]
) -> dict[str, dict[str, Any]]:
    """Return the options of a command, and the SHA-256 of the files it has read; paths as seen from a folder.

    Parameters
    ----------
    out
        The folder.
    without
        Names of the options that are another time's own.
    """
    options = {name: _seen_from(out, each) for name, each in context.params.items() if name not in without}
    return {"options": options, "sha256": {_seen_from(out, file): sha256(file) for file in files}}


def _seen_from(folder: Path, value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_seen_from(folder, each) for each in value]
    return Path(os.path.relpath(value, folder)).as_posix() if isinstance(value, Path) else value


def read_request(
    context: typer.Context, command: Callable[..., None], path: Path, *, of_this_time: Collection[str]
) -> dict[str, Any]:
    """Return the options that `request_of` has put into a JSON file under `request`, as the command takes them.

    Parameters
    ----------
    of_this_time
        Names of the options that may be given with it.

    Raises
    ------
    InputError
        If the file has none, an option is none of this version, or others are given as well.
    """
    for name in context.params.keys() - set(of_this_time):
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise InputError(f"{name}: {path} says it already; leave it out, or measure anew")
    content = read_json(path)
    request = content.get("request") if isinstance(content, dict) else None
    options = request.get("options") if isinstance(request, dict) else None
    if not isinstance(options, dict):
        raise InputError(f"{path}: does not say how it was made; give a sizes.json of nanolab measure")
    hints = get_type_hints(command, include_extras=True)
    if strange := sorted(options.keys() - hints.keys()):
        raise InputError(f"{path}: option {strange[0]!r} is none of this version; measure anew")
    try:
        values = {name: TypeAdapter(hints[name]).validate_python(each) for name, each in options.items()}
    except ValidationError as error:
        raise InputError(f"{path}: {error.errors()[0]['msg']}; measure anew") from error
    return {name: _seen_here(path.parent, each) for name, each in values.items()}


def _seen_here(folder: Path, value: Any) -> Any:
    if isinstance(value, list):
        return [_seen_here(folder, each) for each in value]
    return folder / value if isinstance(value, Path) else value


def changed(path: Path) -> list[str]:
    """Return which files are not what they were when a request was written into a JSON file."""
    before = read_json(path)["request"].get("sha256", {})
    files = {name: path.parent / name for name in before}
    return [name for name, file in files.items() if not file.is_file() or sha256(file) != before[name]]
