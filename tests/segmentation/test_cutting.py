"""The dynamic is known where the depth of the valleys between parts is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.discs import THRESHOLD, Threshold, valleys

from nanolab.core.checks import InputError
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.images.pixel_size import PixelSize
from nanolab.models.checkpoint import save_checkpoint
from nanolab.models.registry import NETWORKS
from nanolab.segmentation.cutting import f1_by_dynamic
from nanolab.segmentation.segmenter import Segmenter


@pytest.fixture(autouse=True)
def _networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NETWORKS, "threshold", THRESHOLD["threshold"])


def model(folder: Path, readout: str, channels: int) -> Segmenter:
    path = folder / "model.safetensors"
    save_checkpoint(path, Threshold(channels).state_dict(), {"settings": {"network": "threshold", "readout": readout}})
    return Segmenter(path)


def thirds(annotated: int) -> AnnotatedImage:
    """Three bright parts with valleys between them, annotated as one particle or as three."""
    labels = (valleys() > 0.5).astype(np.int32)
    if annotated == 3:
        labels *= 1 + np.searchsorted((39, 58), np.arange(labels.shape[1]), side="right").astype(np.int32)
    return AnnotatedImage("thirds", valleys(), labels, PixelSize.typed(1.0), Path("thirds.tif"))


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
