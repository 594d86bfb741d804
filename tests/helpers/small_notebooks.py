"""Small notebooks for tests."""

import json
from collections.abc import Mapping
from pathlib import Path

PARAMETERS = """\
count = 3  # how many
pixel_size_nm: float = 2.5
label = "a = b"
flag = False
sizes_nm = [10, 20]
choice = None
run_folder = "papermill_runs/small/interactive"
"""
SAVE = """\
import os
import sys
from nanolab.core.results import save_results
save_results(run_folder, {"area_nm2": count * pixel_size_nm**2, "python": sys.executable, "cwd": os.getcwd()})
"""


def write_notebook(path: Path, *sources: str, tags: Mapping[int, str] | None = None) -> Path:
    """Write a notebook of code cells; the first is tagged `parameters` unless `tags`, by index, say otherwise."""
    tags = {0: "parameters"} if tags is None else tags
    cells = [
        {
            "cell_type": "code",
            "id": f"cell-{index}",
            "metadata": {"tags": [tags[index]]} if index in tags else {},
            "source": source,
            "outputs": [],
            "execution_count": None,
        }
        for index, source in enumerate(sources)
    ]
    content = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path
