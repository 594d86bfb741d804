"""The record of a run: what ran, with what, where, when, for how long, and how it ended."""

import os
import platform
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from nanolab.core.files import read_record, write_json
from nanolab.core.validation import validated
from nanolab.core.versions import versions

__all__ = ["keep_record", "read_run"]


class _Record(BaseModel):
    identity: str = ""
    status: str = ""
    parameters: dict[str, Any] = {}
    duration_s: float | None = None
    versions: dict[str, str] = {}
    git: dict[str, Any] | None = None
    machine: dict[str, Any] = {}


def read_run(folder: Path) -> dict[str, Any]:
    """Return the record of a run, empty if there is none.

    Raises
    ------
    InputError
        If it is damaged.
    """
    path = folder / "parameters.json"
    content = read_record(path) if path.exists() else {}
    validated(_Record, content, f"{path}: not the record of a run, or damaged; remove its folder")
    return content


@contextmanager
def keep_record(path: Path, about: Mapping[str, Any], repository: Path, *, stopped: type[Exception]) -> Iterator[None]:
    """Keep the record of a run up to date: `running`, then `complete`, `interrupted` or `failed`.

    Parameters
    ----------
    path
        The JSON file.
    about
        What is known of the run beforehand.
    repository
        A folder; the commit checked out there is recorded.
    stopped
        The error that says that somebody stopped the run, besides KeyboardInterrupt.
    """
    record = {
        **about,
        "status": "running",
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "duration_s": None,
        "error": None,
        "versions": versions(),
        "git": _git(repository),
        "machine": {
            "name": platform.node(),
            "system": platform.platform(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
        },
    }
    write_json(path, record)
    start = time.monotonic()
    end: dict[str, Any] = {"status": "failed"}
    try:
        yield
        end = {"status": "complete"}
    except (KeyboardInterrupt, stopped):
        end = {"status": "interrupted"}
        raise
    except Exception as error:
        end = {"status": "failed", "error": str(error)}
        raise
    finally:
        write_json(path, {**record, **end, "duration_s": round(time.monotonic() - start, 3)})


def _git(folder: Path) -> dict[str, Any] | None:
    """Return the commit checked out in `folder` and whether files differ from it; None outside a repository."""
    try:
        commit = _git_output(folder, "rev-parse", "HEAD")
        return {"commit": commit, "modified": bool(_git_output(folder, "status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return None


def _git_output(folder: Path, *arguments: str) -> str:
    # another git of a run side by side must not find the index locked
    command = ["git", "--no-optional-locks", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()
