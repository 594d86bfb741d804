"""A network learns from corrections made on the page."""

import asyncio
import zipfile
from pathlib import Path

import numpy as np
import pytest
from helpers.discs import disc_sample

from nanolab.core.checks import InputError
from nanolab.dashboard import learning
from nanolab.dashboard.learning import corrected_images, write_data_set
from nanolab.dashboard.page import Page
from nanolab.dashboard.session import Models
from nanolab.datasets.opening import open_images
from nanolab.images.tiff import write_tiff
from nanolab.models.checkpoint import network_settings
from nanolab.training.loop import train
from nanolab.training.settings import TrainingSettings

LEFT_HALF = [(0.0, 0.0), (0.0, 110.0), (200.0, 110.0), (200.0, 0.0)]


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of a few weights that learned for forty steps what a disc is."""
    folder = tmp_path_factory.mktemp("training")
    options = {"channels": [8, 8, 8, 8, 8]}
    settings = TrainingSettings(
        network_options=options, epochs=1, steps_per_epoch=40, patch_px=64, batch_size=2, threads=1, device="cpu"
    )
    return train([[disc_sample(1)]], folder / "training", settings, validation=disc_sample(2), progress=False).folder


@pytest.fixture
def page(training: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Page:
    """A page with three images of discs, two of them corrected."""
    monkeypatch.setattr(learning, "SETTINGS", {"epochs": 2, "steps_per_epoch": 2, "patch_px": 64, "threads": 1})
    files = {}
    for index in (3, 4, 5):
        image = np.rint(np.clip(disc_sample(index, (200, 220), 60).image, 0, 1) * 255).astype(np.uint8)
        write_tiff(tmp_path / f"discs{index}.tif", image, pixel_size_nm=2.0)
        files[f"discs{index}.tif"] = (tmp_path / f"discs{index}.tif").read_bytes()
    page = Page(Models([training]))
    page.ui.model.value = str(training)
    asyncio.run(page.take(files))
    for name in ("discs3", "discs4"):
        page.ui.images.value = name
        page.ui.mode.value = "look"
        page._stroked(LEFT_HALF)
    return page


def test_only_what_was_looked_at_is_in_the_data_set(page: Page, tmp_path: Path) -> None:
    with zipfile.ZipFile(page._written("corrected.zip")) as archive:
        archive.extractall(tmp_path / "set")
    images = open_images(tmp_path / "set", annotated=True)
    assert images.names == ("discs3", "discs4")
    for image in images:
        there = page.bench.images[image.name]
        assert image.pixel_size.nm == 2
        np.testing.assert_array_equal(image.labels, there.labels)
        np.testing.assert_allclose(image.image, there.micrograph.pixels, atol=1e-4)
        assert image.looked_at is not None
        assert (image.looked_at[:, :109].all(), image.looked_at[:, 111:].any()) == (True, False)
    page.bench.restore("discs3")
    page.bench.restore("discs4")
    with pytest.raises(InputError, match="nothing is corrected yet"):
        corrected_images(page.bench.images.values())


def test_a_network_learns_is_tried_and_kept(page: Page, training: Path) -> None:
    before = {name: each.found for name, each in page.bench.images.items()}
    asyncio.run(page._learn(None))
    name = f"{training}, taught 1"
    assert name in page.ui.taught.object
    assert "discs5:" in page.ui.taught.object
    assert page.ui.decide.visible
    assert page._models.names == Models([training]).names  # not yet
    page.ui.discard.clicks += 1
    assert not page.ui.decide.visible
    assert {name: each.found for name, each in page.bench.images.items()} == before
    asyncio.run(page._learn(None))
    page.ui.keep.clicks += 1
    assert page.ui.model.value == name
    assert [page.bench.images[each].model for each in ("discs3", "discs5")] == [str(training), name]
    taught = page._written("network.safetensors")
    assert network_settings(taught)["network_options"]["channels"] == [8, 8, 8, 8, 8]
    assert (
        taught.read_bytes() != Models([training]).path(str(training)).joinpath("epochs/0001.safetensors").read_bytes()
    )
    asyncio.run(page._learn(None))  # and it goes on from there
    assert f"{name}, taught 2" in page.ui.taught.object
    page.close()
    assert not taught.exists()


def test_learning_can_be_stopped(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "SETTINGS", {**learning.SETTINGS, "epochs": 500, "steps_per_epoch": 50})

    async def stopped() -> None:
        work = asyncio.create_task(page._learn(None))
        await asyncio.sleep(1)
        page._cancel()
        await work

    asyncio.run(stopped())
    assert "stopped before anything was learned" in page.ui.message.object
    assert not page.ui.decide.visible


def test_why_learning_fails_is_said(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "SETTINGS", {"epochs": 1, "steps_per_epoch": -5})
    asyncio.run(page._learn(None))
    assert "learning failed: " in page.ui.message.object
    assert "steps_per_epoch" in page.ui.message.object


def test_a_set_of_nothing_is_written_nowhere(tmp_path: Path) -> None:
    assert write_data_set([], tmp_path / "set") == tmp_path / "set"
    assert not (tmp_path / "set").exists()
