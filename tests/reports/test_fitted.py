import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from scipy import ndimage

from nanolab.core.checks import InputError
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.images.labels import labels_from_mask
from nanolab.images.micrograph import Micrograph
from nanolab.images.pixel_size import PixelSize
from nanolab.reports import fitted
from nanolab.reports.fitted import fit_twin
from nanolab.synthesis.generate import Preview
from nanolab.synthesis.recipe import load_recipe
from nanolab.twin.fitting import Fit


class Bright:
    """Takes what is brighter than mid-grey for particles; the shipped network would take its time."""

    made_by = "bright"

    def __init__(self, model: Path, *, magnification: float | str) -> None:
        self._magnification = magnification

    def magnification(self, image: np.ndarray) -> float:
        return 0.5

    def segment(self, image: np.ndarray, *, pixel_size_nm: float | None = None) -> np.ndarray:
        assert self._magnification == 0.5
        return labels_from_mask(image > 0.45)


def read_noise(rng: np.random.Generator, side: int) -> Micrograph:
    pixels = ndimage.gaussian_filter(rng.random((side, side)), 2).astype(np.float32)
    return Micrograph(pixels, PixelSize.typed(1.0), Path("noise.tif"))


@pytest.fixture(scope="module")
def micrographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("micrographs")
    with Preview(seed=9) as preview:
        for scene in range(4):
            image = preview.image(load_recipe("generic_sem").within(160), scene).image
            tifffile.imwrite(folder / f"own{scene}.tif", (image * 255).astype(np.uint8))
    return folder


def test_a_fit_is_a_recipe_a_page_and_numbers(
    micrographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitted, "Segmenter", Bright)
    fit = fit_twin([micrographs], tmp_path / "twin", pixel_size_nm=3.0, scenes=8, progress=False)
    recipe = load_recipe(tmp_path / "twin/recipe.yaml")
    assert recipe == fit.recipe
    assert (recipe.name, recipe.image.pixel_size_nm, recipe.image.width_px) == ("twin", 3.0, 160)
    text = (tmp_path / "twin/recipe.yaml").read_text()
    assert text.startswith("# Fitted to own0, own1, own2 and 1 more with nanolab")
    numbers = json.loads((tmp_path / "twin/twin.json").read_text())
    assert (numbers["parent"], numbers["found_by"]) == ("generic_sem", "bright")
    assert {row["parameter"] for row in numbers["parameters"] if row["fitted"]} >= {"particles.0.diameter_nm"}
    assert set(numbers["resemblance"]) == {"before", "after"}
    assert len(numbers["left_is_real"]) == 4
    assert numbers["realism"] == {}
    page = (tmp_path / "twin/twin.html").read_text()
    assert "from 4 images and 100 patches on" in page
    assert "<img" in page
    assert "own0" not in page  # the pairs are blind


@pytest.mark.parametrize(
    ("scale", "said"),
    [
        (None, "own0 has no pixel size"),
        ({"own0": 1.0, "own1": 1.0, "own2": 1.0, "own3": 2.0}, "one pixel size, got 1 to 2"),
    ],
)
def test_scales_are_checked_before_anything_is_written(
    micrographs: Path, tmp_path: Path, scale: dict[str, float] | None, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        fit_twin([micrographs], tmp_path / "twin", pixel_size_nm=scale, progress=False)
    assert not (tmp_path / "twin").exists()


def test_realism_is_told_where_there_are_patches_enough(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    seen = [read_noise(rng, 480) for _ in range(4)]
    renders = [AnnotatedImage(str(k), each.pixels, None, each.pixel_size, Path()) for k, each in enumerate(seen)]
    table = pd.DataFrame({"parameter": [], "before": [], "after": [], "fitted": []})
    fit = Fit(load_recipe("generic_sem"), table, table, table, renders, renders)
    scores = fitted._realism(fit, seen, 0)
    assert scores["before"] == scores["after"]
    assert scores["after"]["kid"] == pytest.approx(scores["after"]["kid_baseline"], abs=0.05)
