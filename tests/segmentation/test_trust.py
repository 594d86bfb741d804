from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanolab.core.files import sha256
from nanolab.images.labels import read_label_file, write_labels
from nanolab.images.trust import Trust, hatching
from nanolab.models.shipped import shipped_model
from nanolab.segmentation.segmenter import Segmenter
from nanolab.segmentation.trust import (
    Evidence,
    Sightings,
    assess,
    image_features,
    particle_features,
    probabilities,
    shipped_calibration,
)

UNCALIBRATED = "trust is not calibrated for this network and these options"
CALIBRATED = shipped_calibration()["auto"]["network"]


@pytest.fixture(scope="module")
def shipped() -> Segmenter:
    return Segmenter(shipped_model(), magnification="auto")


def discs_and_noise(seed: int = 3) -> np.ndarray:
    """Return 25 clean discs of 30 px, bright on dark, with a little noise."""
    image = np.full((256, 256), 0.2, np.float32)
    for row in range(5):
        for column in range(5):
            cv2.circle(image, (28 + 50 * column, 28 + 50 * row), 15, 0.8, -1)
    return cv2.GaussianBlur(image, (0, 0), 1) + np.random.default_rng(seed).normal(0, 0.02, image.shape).astype("f4")


def texture(seed: int = 3) -> np.ndarray:
    """Return noise of all scales alike: nothing in it is a particle."""
    rng = np.random.default_rng(seed)
    parts = [
        cv2.resize(rng.random((n, n)).astype("f4"), (256, 256), interpolation=cv2.INTER_CUBIC) for n in (4, 16, 64)
    ]
    return np.clip(sum(parts) / 3, 0, 1)


def test_clean_discs_are_believed_and_texture_is_not(shipped: Segmenter) -> None:
    sure, doubted = shipped.find(discs_and_noise()), shipped.find(texture())
    assert len(sure.trust.particles) == sure.labels.max() == 25
    assert min(sure.trust.particles) > 0.8
    assert sure.trust.image > 0.8
    assert sure.trust.notes == ()
    assert len(doubted.trust.particles) == doubted.labels.max()
    assert doubted.trust.image < 0.5
    assert doubted.labels.max() == 0 or doubted.trust.notes


def test_the_calibration_is_of_the_weights_that_ship() -> None:
    assert {each["network"] for each in shipped_calibration().values()} == {sha256(shipped_model())}


def test_what_makes_a_particle_sure_raises_its_trust() -> None:
    for model in (each["particles"] for each in shipped_calibration().values()):
        assert all(weight > 0 for weight in model["weights"].values())
    for model in (each["image"] for each in shipped_calibration().values()):
        for name, weight in model["weights"].items():
            assert (weight < 0) == (name in {"spread", "unexplained"})


def evidence(count: int, *, network: str = "", likelihood: float = 0.9, agreement: float = 0.9) -> Evidence:
    sightings = Sightings({1.0: [np.full(count, 100.0)], 0.71: [np.full(count, 100.0)]}, 100.0, 95.0)
    probability, likelihoods = np.full(count, 0.99, np.float32), np.full(count, likelihood)
    return Evidence(network, {1.0: agreement, 0.71: agreement}, 1.0, probability, likelihoods, sightings)


def squares(count: int) -> np.ndarray:
    labels = np.zeros((30, 20 * count + 5), np.int32)
    for number in range(1, count + 1):
        labels[10:20, 20 * number - 12 : 20 * number - 2] = number
    return labels


def test_a_network_that_trust_was_not_calibrated_for_is_told() -> None:
    known = assess(evidence(30, network=CALIBRATED), squares(30))
    other = assess(evidence(30), squares(30))
    assert known.notes == ()
    assert other.notes == (UNCALIBRATED,)
    assert other.particles == known.particles


def test_an_image_that_is_not_believed_says_why() -> None:
    few = assess(evidence(3, network=CALIBRATED, likelihood=0.1, agreement=0.1), squares(3))
    assert few.image < 0.5
    assert few.notes[0] == "fewer than 10 particles"
    assert "particles come in pieces at every scale" in few.notes
    assert "unlike anything the network has learned" in few.notes
    cut = squares(3)
    cut[:10][:, cut[10] > 0] = cut[10][cut[10] > 0]
    assert "most particles touch the border" in assess(evidence(3, likelihood=0.1, agreement=0.1), cut).notes


def test_known_features() -> None:
    labels = squares(4)
    about = evidence(4, agreement=0.6)
    about.likelihoods[1] = 0.5
    found = particle_features(about, labels)
    assert found["likelihood"].tolist() == pytest.approx([np.log(9), 0, np.log(9), np.log(9)])
    assert found["solidity"].tolist() == [1] * 4  # a square is convex
    assert found["touches"].tolist() == [0] * 4
    # four equal ones: their median cannot move; scatter sqrt(4 * 0.25 + 0.1 * 4 + 0.25)
    row = image_features(about.facts(), found, np.full(4, 0.5)).iloc[0]
    assert row["margin"] == pytest.approx(2 / np.sqrt(1.65))
    assert (row["spread"], row["agreement"]) == (0, 0.6)
    assert row["unexplained"] == pytest.approx(0.05)
    assert row["least"] == 0.5


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=20), st.floats(-3, 3), st.floats(0.1, 3))
def test_trust_is_a_probability_that_rises_with_its_features(
    values: list[float], intercept: float, weight: float
) -> None:
    trust = probabilities({"intercept": intercept, "weights": {"a": weight}}, pd.DataFrame({"a": sorted(values)}))
    assert ((trust >= 0) & (trust <= 1)).all()
    assert (np.diff(trust) >= 0).all()


def test_a_label_map_carries_its_trust(tmp_path: Path) -> None:
    trust = Trust(particles=(0.25, 0.75), image=0.5, notes=("fewer than 10 particles",))
    write_labels(tmp_path / "a.tif", squares(2), trust=trust)
    assert read_label_file(tmp_path / "a.tif").trust == trust


def test_only_what_is_not_trusted_is_hatched() -> None:
    labels = squares(3)
    lines = hatching(labels, [1, 2, 3], [0.4, 0.6, np.nan])
    assert lines[labels == 1].any()
    assert not lines[labels == 1].all()
    assert not lines[labels != 1].any()


def test_doubtful_particles_are_left_out_counted_and_kept_where_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    all_of_them = Segmenter(shipped_model(), magnification="auto", keep_unlikely=True).find(discs_and_noise())
    likelihoods = np.sort(all_of_them.evidence.likelihoods)
    monkeypatch.setattr("nanolab.segmentation.segmenter.BELIEVED", likelihoods[5])
    found = Segmenter(shipped_model(), magnification="auto").find(discs_and_noise())
    assert (all_of_them.labels.max(), all_of_them.unlikely) == (25, 0)
    assert (found.labels.max(), found.unlikely) == (20, 5)
    assert len(found.scores) == len(found.trust.particles) == 20
    kept = 1 + np.flatnonzero(all_of_them.evidence.likelihoods >= likelihoods[5])
    assert np.array_equal(found.labels > 0, np.isin(all_of_them.labels, kept))


def test_what_one_magnification_alone_shows_is_not_doubted() -> None:
    assert Segmenter(shipped_model()).find(discs_and_noise()).unlikely == 0
