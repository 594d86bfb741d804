from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.discs import disc_sample

from nanolab.core.checks import InputError
from nanolab.models.normalisation import normalise
from nanolab.segmentation.segmenter import Segmenter
from nanolab.training import validation
from nanolab.training.loop import train
from nanolab.training.settings import TrainingSettings
from nanolab.training.validation import ValidationImage

Settings = Callable[..., TrainingSettings]
SAMPLES = [disc_sample(seed) for seed in range(3)]


@pytest.mark.parametrize("tile_px", [1152, 64])
def test_the_validation_loss_is_the_mean_over_the_whole_image(
    tmp_path: Path, tiny_settings: Settings, monkeypatch: pytest.MonkeyPatch, tile_px: int
) -> None:
    sample = disc_sample(9, shape=(100, 70))
    settings = tiny_settings(epochs=1, readout="foreground", loss="bce", precision="float32")
    monkeypatch.setattr(validation, "TILE_PX", tile_px)
    run = train([SAMPLES], tmp_path, settings, validation=sample, progress=False)
    with torch.no_grad():
        padded = np.pad(normalise(sample.image), [(0, 28), (0, 26)], mode="reflect")
        probability = run.model(1)(torch.from_numpy(padded)[None, None])[0, 0, :100, :70].sigmoid().double().numpy()
    expected = -np.mean(np.where(sample.labels > 0, np.log(probability), np.log(1 - probability)))
    # parts do not see across their edges: here a fifth of all pixels lie within 8 px of one
    tolerance = 1e-5 if tile_px > 100 else 0.02
    assert run.log()["validation_loss"][0] == pytest.approx(expected, abs=tolerance)


def test_truth_of_another_size_is_refused_before_anything_is_computed(tmp_path: Path, tiny_settings: Settings) -> None:
    wrong = replace(disc_sample(9), labels=np.zeros((95, 96), dtype=np.int32))
    with pytest.raises(InputError, match="discs9: both must have one size"):
        ValidationImage(wrong, tiny_settings())


@pytest.mark.parametrize("changed", [{"clahe": True}, {"stretch": (0, 100)}])
def test_grey_values_are_changed_alike_in_training_validation_and_segmentation(
    changed: dict[str, object], tmp_path: Path, tiny_settings: Settings
) -> None:
    settings, sample = tiny_settings(epochs=1, precision="float32", **changed), disc_sample(9)
    run = train([SAMPLES], tmp_path, settings, validation=sample, progress=False)
    plain = tiny_settings(epochs=1, precision="float32")
    other = train([SAMPLES], tmp_path / "plain", plain, validation=sample, progress=False)
    assert run.record["data"]["sha256"] != other.record["data"]["sha256"]
    found = Segmenter(run, device="cpu", precision="float32").probabilities(sample.image)
    # kept in steps of 1/255
    np.testing.assert_allclose(run.validation_prediction(1), found, atol=0.5 / 255 + 1e-5)


def test_clahe_evens_out_what_the_light_leaves_uneven() -> None:
    rows, cols = np.mgrid[:256, :256]
    waves = np.sin(cols / 3) * np.where(rows < 128, 0.4, 0.04)
    image = (0.5 + waves).astype(np.float32)
    faint, strong = (normalise(image, clahe=True)[part].std() for part in (np.s_[160:], np.s_[:96]))
    before = normalise(image)[160:].std() / normalise(image)[:96].std()
    assert faint / strong > 1.5 * before
    assert normalise(image, clahe=True).dtype == np.float32


def test_the_whole_range_of_grey_values_is_stretched_where_it_is_asked_for() -> None:
    image = np.full((64, 64), 0.5, dtype=np.float32)
    image[:32] = 0.4
    image[0, 0], image[9, 9] = 0.2, 1.0  # hot and dead pixels set the ends, as in the papers
    found = normalise(image, stretch=(0, 100))
    assert (found.min(), found.max()) == (0, 1)
    assert found[40, 40] == pytest.approx((0.5 - 0.2) / 0.8)
    assert normalise(image)[40, 40] == 1


def test_stretching_between_percentiles_in_the_wrong_order_is_refused(tiny_settings: Settings) -> None:
    with pytest.raises(InputError, match="the lower percentile must come first"):
        tiny_settings(stretch=(99, 1))
