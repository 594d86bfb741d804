"""Ways to find particles: classical ones on what they can do, other programs by a stand-in, label maps by name."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from helpers.square_sets import FOUND, squares, write_found, write_set

from nanolab.core.checks import InputError
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.datasets.opening import open_images
from nanolab.experiments.finders import METHODS, adaptive_watershed, make_finder, otsu_watershed
from nanolab.images.labels import write_labels
from nanolab.images.tiff import write_tiff


@pytest.fixture
def image(tmp_path: Path) -> AnnotatedImage:
    return open_images(write_set(tmp_path / "squares"))[0]


@pytest.mark.parametrize(
    ("find", "bright"), [(otsu_watershed, True), (otsu_watershed, False), (adaptive_watershed, True)]
)
def test_thresholds_find_discs_on_an_even_ground(find: Any, bright: bool) -> None:
    rows, cols = np.mgrid[:192, :192]
    discs = np.hypot(rows % 48 - 24, cols % 48 - 24) < 12
    labels = find(np.where(discs == bright, 0.8, 0.2).astype(np.float32))
    assert labels.max() == 16
    # a blur of 2 px moves the outline of so small a disc by a fraction of a pixel
    assert (labels > 0).sum() == pytest.approx(discs.sum(), rel=0.05)


def test_two_discs_that_touch_are_cut_apart() -> None:
    rows, cols = np.mgrid[:96, :96]
    two = (np.hypot(rows - 48, cols - 30) < 17) | (np.hypot(rows - 48, cols - 62) < 17)
    assert otsu_watershed(np.where(two, 0.8, 0.2).astype(np.float32)).max() == 2


def stand_in(monkeypatch: pytest.MonkeyPatch, name: str, **content: Any) -> None:
    """Put a module in the place of a package that is not installed."""
    package, *_ = name.split(".")
    root, module = ModuleType(package), ModuleType(name)
    root.__dict__["__version__"] = "9.9"
    module.__dict__.update(content)
    monkeypatch.setitem(sys.modules, package, root)
    monkeypatch.setitem(sys.modules, name, module)


def check(method: str, image: AnnotatedImage, said: str) -> None:
    name, finder = make_finder(method)
    labels, trust = finder.find(image)
    assert (name, finder.made_by, trust) == (method, said, None)
    assert labels.dtype == np.int32
    assert np.array_equal(labels, squares())


def test_cellpose_is_asked_as_its_guide_says(image: AnnotatedImage, monkeypatch: pytest.MonkeyPatch) -> None:
    class CellposeModel:
        def eval(self, x: np.ndarray) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
            assert x.shape == (192, 192)
            return squares().astype(np.uint16), [], np.zeros(256)

    stand_in(monkeypatch, "cellpose.models", CellposeModel=CellposeModel)
    check("cellpose", image, "cellpose 9.9, its default model")


def test_stardist_sees_normalised_images(image: AnnotatedImage, monkeypatch: pytest.MonkeyPatch) -> None:
    class StarDist2D:
        @classmethod
        def from_pretrained(cls, name: str) -> "StarDist2D":
            assert name == "2D_versatile_fluo"
            return cls()

        def predict_instances(self, x: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
            assert (x.min(), x.max()) == pytest.approx((0, 1))
            return squares(), {}

    stand_in(monkeypatch, "stardist.models", StarDist2D=StarDist2D)
    stand_in(monkeypatch, "csbdeep.utils", normalize=lambda x: (x - x.min()) / np.ptp(x))
    check("stardist", image, "stardist 9.9, 2D_versatile_fluo")


def test_micro_sam_segments_automatically(image: AnnotatedImage, monkeypatch: pytest.MonkeyPatch) -> None:
    def segment(predictor: str, segmenter: str, input_path: np.ndarray, *, ndim: int) -> np.ndarray:
        assert (predictor, segmenter, input_path.shape, ndim) == ("predictor", "segmenter", (192, 192), 2)
        return squares().astype(np.uint32)

    stand_in(
        monkeypatch,
        "micro_sam.automatic_segmentation",
        get_predictor_and_segmenter=lambda model: ("predictor", "segmenter") if model == "vit_b_lm" else None,
        automatic_instance_segmentation=segment,
    )
    check("micro-sam", image, "micro_sam 9.9, vit_b_lm")


@pytest.mark.parametrize(
    ("method", "module", "message"),
    [
        ("cellpose", "cellpose", "cellpose: cannot be used here .*`pip install cellpose`"),
        ("stardist", "stardist", "stardist: .*`pip install stardist tensorflow`"),
        ("micro-sam", "micro_sam", "micro_sam: .*`conda install -c conda-forge micro_sam`"),
    ],
)
def test_a_package_that_is_missing_is_named(
    method: str, module: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    with pytest.raises(InputError, match=message):
        make_finder(method)


def test_a_method_that_nobody_knows_is_refused() -> None:
    with pytest.raises(InputError, match=r"one of nanolab, otsu, .*NAME=FOLDER"):
        make_finder("unet")
    assert "nanolab" in METHODS


def test_label_maps_are_paired_by_name_whatever_they_are_called(image: AnnotatedImage, tmp_path: Path) -> None:
    write_labels(tmp_path / "found" / "deep" / "exact_cp_masks.tif", squares(17))
    name, finder = make_finder(f"mine={tmp_path / 'found'}")
    labels, trust = finder.find(image)
    assert (name, trust) == ("mine", None)
    assert np.array_equal(labels, squares(17))


def test_other_label_maps_are_another_method(tmp_path: Path) -> None:
    method = f"mine={write_found(tmp_path / 'found')}"
    first, again = (make_finder(method)[1].made_by for _ in range(2))
    write_labels(tmp_path / "found" / "exact.labels.tif", FOUND["large"])
    assert first == again != make_finder(method)[1].made_by


def test_rows_of_a_data_bar_may_be_there(image: AnnotatedImage, tmp_path: Path) -> None:
    write_labels(tmp_path / "found/exact.tif", np.pad(squares(), ((0, 20), (0, 0))))
    _, finder = make_finder(f"mine={tmp_path / 'found'}")
    with pytest.raises(InputError, match="both must have one size"):
        finder.find(image)
    write_tiff(image.path, np.pad(squares(), ((0, 20), (0, 0))).astype(np.uint8), pixel_size_nm=2.0)
    assert np.array_equal(finder.find(image)[0], squares())


def test_a_wrong_folder_is_refused_in_words(image: AnnotatedImage, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must be a folder of label maps"):
        make_finder(f"mine={tmp_path / 'nowhere'}")
    write_labels(tmp_path / "others/other.tif", squares())
    with pytest.raises(InputError, match=r"has no label map of exact; put exact\.tif"):
        make_finder(f"mine={tmp_path / 'others'}")[1].find(image)
    noise = np.random.default_rng(0).integers(0, 255, (192, 192)).astype(np.uint8)
    write_tiff(tmp_path / "grey/exact.tif", noise, pixel_size_nm=None)
    with pytest.raises(InputError, match="must be a mask or a label map"):
        make_finder(f"mine={tmp_path / 'grey'}")[1].find(image)
    with pytest.raises(InputError, match="plain name"):
        make_finder(f"../mine={tmp_path / 'others'}")
