"""A training and its test in one call."""

from pathlib import Path

import pytest
from helpers.discs import TINY, disc_sample

from nanolab.experiments.trial import run_trial
from nanolab.models.registry import NETWORKS
from nanolab.segmentation.scoring import compare_images
from nanolab.segmentation.segmenter import Segmenter
from nanolab.training.settings import TrainingSettings
from nanolab.training.sources import Source


def test_the_last_epoch_is_tested_at_the_magnification_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NETWORKS, "tiny", TINY["tiny"])
    settings = TrainingSettings(network="tiny", epochs=2, steps_per_epoch=40, patch_px=32, batch_size=2, device="cpu")
    sources, test = [Source([disc_sample(0), disc_sample(1)], name="discs")], [disc_sample(2), disc_sample(3)]
    found = {}
    for magnification in (1.0, 0.5):  # the second time the training is there
        trial = run_trial(
            sources, test, tmp_path, settings, min_area_px=20, magnification=magnification, progress=False
        )
        segmenter = Segmenter(tmp_path, 2, magnification=magnification)
        again = compare_images(segmenter, test, min_area_px=20, progress=False)
        found[magnification] = {name: each.pixels for name, each in trial.comparisons.items()}
        assert found[magnification] == {name: each.pixels for name, each in again.items()}
    assert found[1.0] != found[0.5]
