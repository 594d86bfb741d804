"""How well D50 is known by how many images or particles."""

import numpy as np
import pandas as pd
import pytest

from nanolab.measurement.precision import precision_by_count
from nanolab.measurement.size_sample import SizeSample, size_sample


def sample(rng: np.random.Generator, images: int, particles: int, between: float) -> SizeSample:
    """Log-normal sizes, geometric SD exp(0.2) within images and exp(between) from one to the next."""
    logs = np.log(50) + 0.2 * rng.normal(size=(images, particles)) + between * rng.normal(size=(images, 1))
    size = np.exp(logs).ravel()
    table = {"image": np.repeat([f"i{k:03d}" for k in range(images)], particles), "ecd_px": size, "area_px": size**2}
    return size_sample(pd.DataFrame({**table, "touches_border": False}), border="keep")


def test_one_image_tells_as_the_root_of_its_particles(rng: np.random.Generator) -> None:
    points = precision_by_count(sample(rng, 1, 2000, 0), rng=rng, repeats=999)
    assert points[0].keys() == {"particles", "error"}
    assert points[-1]["particles"] == 2000
    # the SD of a median of n normal values is sqrt(pi / 2) SD / sqrt(n)
    expected = [1.96 * np.sqrt(np.pi / 2) * 0.2 / np.sqrt(point["particles"]) for point in points[2:]]
    assert [point["error"] for point in points[2:]] == pytest.approx(expected, rel=0.15)


def test_images_that_differ_count_and_not_their_particles(rng: np.random.Generator) -> None:
    points = precision_by_count(sample(rng, 64, 50, 0.5), rng=rng, repeats=499)
    assert [point["images"] for point in points] == sorted({point["images"] for point in points})
    assert (points[0]["images"], points[-1]["images"], points[-1]["particles"]) == (2, 64, 3200)
    at = {point["images"]: point["error"] for point in points}
    four = min(at, key=lambda count: abs(count - 16))
    assert at[four] / at[64] == pytest.approx(np.sqrt(64 / four), rel=0.25)
    # many particles help little: as if each image were one particle of a wider distribution
    assert at[64] > 3 * 1.96 * np.sqrt(np.pi / 2) * 0.2 / np.sqrt(3200)


def test_too_few_tell_nothing_of_it(rng: np.random.Generator) -> None:
    assert precision_by_count(sample(rng, 2, 40, 0), rng=rng) == []
    assert precision_by_count(sample(rng, 1, 10, 0), rng=rng) == []
