"""Choosing epochs in JupyterLab: slider, keys, a pick, and what is left of it after the kernel was restarted."""

from pathlib import Path
from typing import Any

import pytest

from nanolab.core.files import read_json, write_json
from nanolab.training.settings import TrainingSettings

EPOCHS = [3, 4, 5, 6]
#: Epoch k finds the discs, with a probability of 10 k / 255 where there is none.
CELL = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})
import numpy as np
from helpers.discs import disc_sample
from nanolab.selection.predictions import Prediction
from nanolab.training.run import TrainingRun
from nanolab.widgets.epochs import epoch_selector
sample = disc_sample(9)
found = np.where(sample.labels > 0, 255, 0).astype(np.uint8)
predictions = {{e: Prediction(np.maximum(found, 10 * e).astype(np.uint8), sample.labels) for e in {EPOCHS}}}
epoch_selector(TrainingRun("run"), predictions, sample)
"""
_START_S = 120  # kernel, PyTorch and MONAI on a busy machine


@pytest.fixture
def notebook(lab: Any) -> Any:
    """A notebook with the widget over a training of which only the names of the files are there."""
    settings = TrainingSettings(epochs=9).model_dump(mode="json")
    write_json(lab.folder / "run/run.json", {"settings": settings, "data": {"validation": "discs9"}})
    (lab.folder / "run/epochs").mkdir(parents=True)
    for epoch in EPOCHS:
        (lab.folder / f"run/epochs/{epoch:04d}.safetensors").touch()
    cell = {"cell_type": "code", "id": "0", "metadata": {}, "outputs": [], "execution_count": None, "source": CELL}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    write_json(
        lab.folder / "epochs.ipynb",
        {"cells": [cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5},
    )
    return lab


def widget(page: Any) -> Any:
    one = page.locator(".nanolab-epochs[data-ready=true]")
    one.wait_for(timeout=_START_S * 1000)
    return one


def test_a_pick_survives_the_kernel(page: Any, notebook: Any) -> None:
    address, token = notebook.url.split("lab?")
    page.goto(f"{address}lab/tree/epochs.ipynb?{token}")
    page.locator(".jp-Notebook .cm-content").first.wait_for()
    # run before this, JupyterLab would ask for a kernel
    page.wait_for_function("() => window.jupyterapp.shell.currentWidget.sessionContext.isReady")
    page.get_by_text("| Idle").wait_for()
    page.evaluate("void window.jupyterapp.commands.execute('notebook:run-all-cells')")
    shown = widget(page)
    slider = shown.get_by_role("slider", name="Epoch")
    assert slider.get_attribute("aria-valuetext") == "epoch 6"
    slider.fill("1")  # as by dragging it
    assert slider.get_attribute("aria-valuetext") == "epoch 4"
    slider.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == "epoch 5"
    slider.press("p")
    shown.get_by_text("Saved to").wait_for()
    assert read_json(notebook.folder / "run/selection.json")["epochs"] == [5]
    page.evaluate("void window.jupyterapp.commands.execute('notebook:restart-run-all')")
    shown.evaluate("one => { one.dataset.ready = 'of the old kernel'; }")
    page.locator(".jp-Dialog .jp-mod-accept").click()
    shown = widget(page)
    assert shown.get_by_role("slider", name="Epoch").get_attribute("aria-valuetext") == "epoch 5"
    shown.get_by_role("button", name="Take back epoch 5").first.wait_for()
    page.wrong[:] = [each for each in page.wrong if "nanolab" in each]  # JupyterLab's own complaints are not ours
