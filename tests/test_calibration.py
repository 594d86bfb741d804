"""The dynamic is known where the depth of the valleys between parts is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from nanolab.calibration import f1_by_dynamic
from nanolab.checks import InputError
from nanolab.models import NETWORKS
from nanolab.pixelsize import PixelSize
from nanolab.samples import Sample
from nanolab.segment import Segmenter
from nanolab.train.checkpoint import save_checkpoint


class Bright(nn.Module):
    """Takes what is bright for particle, and what is brighter for deeper inside it."""

    def __init__(self, out_channels: int) -> None:
        super().__init__()
        self.steepness = nn.Parameter(torch.full((out_channels, 1, 1), 20.0))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.steepness * (image - 0.5)


@pytest.fixture(autouse=True)
def _networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NETWORKS, "bright", "test_calibration_networks:Bright")
    monkeypatch.setitem(__import__("sys").modules, "test_calibration_networks", __import__("sys").modules[__name__])


def model(folder: Path, readout: str, channels: int) -> Segmenter:
    path = folder / "model.safetensors"
    save_checkpoint(path, Bright(channels).state_dict(), {"settings": {"network": "bright", "readout": readout}})
    return Segmenter(path)


def thirds(annotated: int) -> Sample:
    """Three bright parts with valleys between them that are 0.27 less deep, annotated as one particle or as three."""
    image = np.full((64, 96), 0.2, dtype=np.float32)
    image[20:44, 20:78] = 0.8
    labels = (image > 0.5).astype(np.int32)
    for number, col in enumerate((39, 58), start=2):
        image[20:44, col - 1 : col + 1] = 0.51
        if annotated == 3:
            labels[20:44, col:78] = number
    return Sample("thirds", image, labels, PixelSize.typed(1.0), Path("thirds.tif"))


def test_each_set_has_the_f1_that_its_annotation_asks_for(tmp_path: Path) -> None:
    segmenter = model(tmp_path, "interior+border", 2)
    sets = {"whole": [thirds(1)], "apart": [thirds(3), thirds(3)], "both": [thirds(1), thirds(3)]}
    scores = f1_by_dynamic(segmenter, sets, dynamics=(0.1, 0.2, 0.35))
    assert scores.loc["whole"].tolist() == [0, 0, 1]
    assert scores.loc["apart"].tolist() == [1, 1, 0]
    # cut: 3 of 6 found are right, 3 of 4 annotated found; uncut: 1 of 2, and 1 of 4
    assert scores.loc["both"].tolist() == pytest.approx([0.6, 0.6, 1 / 3])
    assert scores.loc[["whole"]].mean().idxmax() == 0.35
    assert segmenter.readout.dynamic == 0.1  # type: ignore[attr-defined]  # as it was


def test_what_cannot_be_calibrated_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="this network's read-out has none"):
        f1_by_dynamic(model(tmp_path, "foreground", 1), {"whole": [thirds(1)]})
    with pytest.raises(InputError, match=r"thirds\.tif: has no label map"):
        f1_by_dynamic(model(tmp_path, "interior+border", 2), {"none": [replace(thirds(1), labels=None)]})
