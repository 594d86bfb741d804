"""The degradation of Mill et al.: the numbers of their paper."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from nanolab.images.masks import semantic
from nanolab.synthesis.detectors.degrade import Mill2021, degrade, degrade_labels
from nanolab.synthesis.detectors.detect import (
    detect,
    draw_appearance,
    shown_labels,
    shown_pixel_size,
)
from nanolab.synthesis.detectors.surface import SecondaryElectrons
from nanolab.synthesis.passes import Passes


def record(noise: float = 0.0, erosion_px: int = 0) -> dict[str, object]:
    return Mill2021(noise=noise, erosion_px=erosion_px).draw(np.random.default_rng(0))


def discs() -> np.ndarray:
    y, x = np.indices((507, 507))
    labels = np.zeros((507, 507), dtype=np.int32)
    labels[np.hypot(x - 150, y - 200) < 40] = 1
    labels[np.hypot(x - 230, y - 200) < 40] = 2
    return labels


def test_image_is_enlarged_from_507_to_2031_bilinearly() -> None:
    signal = np.random.default_rng(0).random((507, 507), dtype=np.float32)
    image = degrade(signal, record())
    assert image.shape == (2031, 2031)
    # Output pixel i looks at (i + 1/2) 507/2031 - 1/2: for 1000 that is 249.254, between 249 and 250.
    place = 1000.5 * 507 / 2031 - 0.5
    low, part = int(place), place - int(place)
    corners = signal[low : low + 2, low : low + 2]
    expected = np.array([1 - part, part]) @ corners @ np.array([1 - part, part])
    assert image[1000, 1000] == pytest.approx(expected, abs=1e-4)  # OpenCV computes in 32 bits


def test_noise_is_gaussian_additive_and_white() -> None:
    image = degrade(np.full((507, 507), 0.5, dtype=np.float32), record(noise=0.05)) - 0.5
    assert image.std() == pytest.approx(0.05, rel=0.005)  # 4 million values
    assert np.mean(np.abs(image) < 0.05) == pytest.approx(0.6827, abs=0.002)
    assert np.corrcoef(image[:, :-1].ravel(), image[:, 1:].ravel())[0, 1] == pytest.approx(0, abs=0.003)


def test_labels_are_enlarged_binarised_and_eroded() -> None:
    labels = discs()
    whole = degrade_labels(labels, record())
    for label in (1, 2):
        grey = cv2.resize((labels == label).astype(np.float32), (2031, 2031), interpolation=cv2.INTER_LINEAR)
        # OpenCV's weights are rounded: pixels within 1e-4 of one half may fall either way.
        differing = (whole == label) != (grey > 0.5)
        assert np.abs(grey[differing] - 0.5).max(initial=0) < 1e-4
    eroded = degrade_labels(labels, record(erosion_px=4))
    assert np.array_equal(eroded > 0, semantic(whole, 4) == 1)
    # A disc of 40 px is one of 160.2 px, less 4.
    assert np.sqrt((eroded == 1).sum() / np.pi) == pytest.approx(40 * 2031 / 507 - 4, abs=1)


def passes() -> Passes:
    labels = discs()
    flat = np.zeros(labels.shape, dtype=np.float32)
    return Passes(labels, flat, np.stack([flat, flat, flat + 1], axis=-1), flat + 1, 4.0)


def test_it_takes_the_place_of_the_instrument() -> None:
    detector = SecondaryElectrons(
        substrate_level=0.1, particle_level=0.4, particle_spread=0, surface_texture=0, illumination=0, halo=0
    )
    appearance = draw_appearance(detector, [], np.random.default_rng(0)) | {"degradation": record()}
    image = detect(passes(), appearance)
    assert image.shape == (2031, 2031)
    assert image[10, 10] == pytest.approx(0.1, abs=1e-6)  # neither beam nor noise nor display
    labels = shown_labels(passes().labels, appearance)
    assert labels.shape == (2031, 2031)
    assert image[labels == 1].mean() == pytest.approx(0.4, rel=0.01)  # up to two pixels of edge are mixed
    assert shown_pixel_size(4.0, appearance) == pytest.approx(4.0 * 507 / 2031)


def test_without_it_image_and_labels_keep_their_size() -> None:
    detector = SecondaryElectrons(substrate_level=0.1, particle_level=0.4)
    appearance = draw_appearance(detector, [], np.random.default_rng(0))
    assert detect(passes(), appearance).shape == (507, 507)
    assert np.array_equal(shown_labels(discs(), appearance), discs())
    assert shown_pixel_size(4.0, appearance) == 4.0


def test_other_sizes_are_enlarged_alike() -> None:
    small = replace(passes(), labels=discs()[:100, :200])
    assert degrade_labels(small.labels, record()).shape == degrade(np.zeros((100, 200), np.float32), record()).shape
    assert degrade_labels(small.labels, record()).shape == (401, 801)
