"""Whole outlines of particles, which may overlap."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from nanolab.core.files import read_json
from nanolab.images.tiff import write_tiff
from nanolab.models.checkpoint import save_checkpoint
from nanolab.models.registry import NETWORKS
from nanolab.segmentation import blocks as parts
from nanolab.segmentation import files
from nanolab.segmentation import segmenter as segment
from nanolab.segmentation.files import segment_files
from nanolab.segmentation.segmenter import Segmenter


def write_image(path: Path, image: np.ndarray, pixel_size_nm: float | None = 2.5) -> Path:
    write_tiff(path, np.rint(image * 255).astype(np.uint8), pixel_size_nm=pixel_size_nm)
    return path


class Known(nn.Module):
    """Predicts, at every bright pixel, a particle whose outline is 8 px away, as the read-out stardist has it."""

    def __init__(self, out_channels: int) -> None:
        super().__init__()
        self.far = nn.Parameter(torch.tensor(8.0))
        self.rays = out_channels - 2

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        bright = 20 * (image - 0.5)
        rays = torch.log(torch.expm1(self.far / 8)).expand(len(image), self.rays, *image.shape[2:])
        return torch.cat([bright, bright, rays], dim=1)


@pytest.fixture
def outlining(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the checkpoint of a network that knows outlines."""
    monkeypatch.setitem(sys.modules, "outline_networks", sys.modules[__name__])
    monkeypatch.setitem(NETWORKS, "known", "outline_networks:Known")
    path = tmp_path / "outlining.safetensors"
    save_checkpoint(path, Known(34).state_dict(), {"settings": {"network": "known", "readout": "stardist"}})
    return path


def test_outlines_overlap_and_are_written(outlining: Path, tmp_path: Path) -> None:
    image = np.full((40, 60), 0.2, dtype=np.float32)
    image[20, [12, 24, 46]] = 0.8
    found = Segmenter(outlining).find(image, outlines=True).outlines
    assert sorted(found.centres.tolist()) == [[20, 12], [20, 24], [20, 46]]
    np.testing.assert_allclose(found.distances, 8, rtol=0.005)  # bfloat16, where it is used
    file = write_image(tmp_path / "dots.tif", image)
    assert segment_files([file], outlining, tmp_path / "out", outlines=True, progress=False).failures == {}
    content = read_json(tmp_path / "out" / "dots.outlines.json")
    areas = [each["area"] for each in content["annotations"]]
    # a regular polygon of 32 corners has 0.9936 of its circle; its edge adds a random error of about sqrt(50) / 2 px
    np.testing.assert_allclose(areas, [0.9936 * np.pi * 64] * 3, atol=8)
    assert (tmp_path / "out" / "dots.labels.tif").exists()


def test_what_is_left_out_of_the_label_map_has_no_outline(
    outlining: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = np.full((40, 60), 0.2, dtype=np.float32)
    for column in (4, 24, 44):
        image[16:24, column : column + 8] = 0.8

    def columns(found: list[int]) -> set[int]:
        return {column // 20 for column in found}

    every = Segmenter(outlining).find(image, outlines=True)
    assert columns(every.outlines.centres[:, 1].tolist()) == {0, 1, 2}
    left = every.labels[20, 8]
    monkeypatch.setattr(files, "without_lettering", lambda labels, _: (np.where(labels == left, 0, labels), 1))
    file = write_image(tmp_path / "dots.tif", image)
    segment_files([file], outlining, tmp_path / "out", outlines=True, progress=False)
    written = read_json(tmp_path / "out" / "dots.outlines.json")["annotations"]
    assert columns([each["bbox"][0] + each["bbox"][2] / 2 for each in written]) == {1, 2}


def test_outlines_of_blocks_are_those_of_the_whole_image(outlining: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.full((150, 190), 0.2, dtype=np.float32)
    image[10::13, 10::17] = 0.8
    segmenter = Segmenter(outlining)
    whole = segmenter.find(image, outlines=True).outlines
    monkeypatch.setattr(segment, "BLOCK_PX", 128)
    monkeypatch.setattr(parts, "_MARGIN_PX", 24)
    blocks = segmenter.find(image, outlines=True).outlines
    assert sorted(blocks.centres.tolist()) == sorted(whole.centres.tolist())
    assert len(whole) == 11 * 11


def test_rays_of_a_magnified_image_are_as_long_as_in_the_image(outlining: Path) -> None:
    image = np.full((64, 96), 0.2, dtype=np.float32)
    for column in (16, 48, 80):
        image[32:34, column : column + 2] = 0.8  # one pixel of the image seen
    found = Segmenter(outlining, magnification=0.5).find(image, outlines=True).outlines
    # 8 px of the image seen; interpolation lets neighbouring pixels share in the one pixel that knows
    assert found.distances[0].max() == pytest.approx(16, rel=0.1)
