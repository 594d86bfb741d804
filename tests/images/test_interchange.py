"""The same image by way of files, signals, arrays and other programs' layers gives the same sizes."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import zarr
from helpers.instrument_files import write_dm, write_emd, write_mrc, write_ser
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from skimage.measure import label

from nanolab.core.checks import InputError
from nanolab.images.interchange import to_napari, to_signal, write_ome_zarr
from nanolab.images.micrograph import Micrograph, read
from nanolab.images.tiff import write_tiff
from nanolab.measurement.particles import measure


class Tree:
    """Stands in for HyperSpy's trees of metadata and its axes manager."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content

    def as_dictionary(self) -> dict[str, Any]:
        return self.content


def hyperspy_signal(data: np.ndarray, nm: float, unit: str = "nm") -> SimpleNamespace:
    """Return what has the attributes of HyperSpy's Signal2D that are read."""
    steps = [{"name": "time", "scale": 0.5, "units": "s", "navigate": True}] * (data.ndim - 2)
    axes = [*steps, *({"name": name, "scale": nm, "units": unit, "navigate": False} for name in "yx")]
    manager = Tree({f"axis-{number}": axis for number, axis in enumerate(axes)})
    return SimpleNamespace(data=data, axes_manager=manager, metadata=Tree({"General": {"title": "from/HyperSpy"}}))


def discs(seed: int) -> np.ndarray:
    """Return a 16-bit picture of five discs on even ground."""
    rng = np.random.default_rng(seed)
    rows, cols = np.ogrid[:60, :90]
    shown = np.full((60, 90), 300, np.uint16)
    for row, col in ((15, 15), (15, 50), (15, 75), (45, 25), (45, 65)):
        shown[(rows - row) ** 2 + (cols - col) ** 2 < rng.uniform(4, 11) ** 2] = 900
    return shown


def ecds_nm(micrograph: Micrograph) -> np.ndarray:
    return measure(label(micrograph.pixels > 0.5), micrograph)["ecd_nm"].to_numpy()


def written(name: str, write: Callable[..., None]) -> Callable[[Path, np.ndarray, float], Micrograph]:
    def way(folder: Path, data: np.ndarray, nm: float) -> Micrograph:
        write(folder / name, data, nm)
        return read(folder / name)

    return way


def by_rosettasciio(folder: Path, data: np.ndarray, nm: float) -> Micrograph:
    from rsciio.emd import file_reader, file_writer

    (folder / "r.emd").unlink(missing_ok=True)
    file_writer(str(folder / "r.emd"), to_signal(read(data, pixel_size_nm=nm)))
    return read(file_reader(str(folder / "r.emd")))


def by_ome_zarr(folder: Path, data: np.ndarray, nm: float) -> Micrograph:
    path = folder / f"{np.random.default_rng().integers(2**60)}.zarr"
    root = zarr.open_group(write_ome_zarr(path, read(data, pixel_size_nm=nm)), mode="r")
    (scale,) = root.attrs["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    return read(root["0"][:], pixel_size_nm=scale["scale"][1])


def by_napari(folder: Path, data: np.ndarray, nm: float) -> Micrograph:
    ((pixels, about, _),) = to_napari(read(data, pixel_size_nm=nm))
    return read(pixels, pixel_size_nm=about["scale"][1])


WAYS: dict[str, Callable[[Path, np.ndarray, float], Micrograph]] = {
    "TIFF": written("a.tif", lambda path, data, nm: write_tiff(path, data.astype(np.float32), pixel_size_nm=nm)),
    "MRC": written("a.mrc", write_mrc),
    "EMD": written("a.emd", write_emd),
    "DM4": written("a.dm4", lambda path, data, nm: write_dm(path, data, nm, version=4)),
    "SER": written("a.ser", write_ser),
    "HyperSpy": lambda _, data, nm: read(hyperspy_signal(data, nm / 1000, "um")),
    "to_signal": lambda _, data, nm: read(to_signal(read(data, pixel_size_nm=nm))),
    "RosettaSciIO": by_rosettasciio,
    "OME-Zarr": by_ome_zarr,
    "napari": by_napari,
}


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1000), nm=st.floats(0.01, 100))
@pytest.mark.parametrize("way", WAYS)
def test_each_way_gives_the_same_sizes(way: str, seed: int, nm: float, tmp_path: Path) -> None:
    data = discs(seed)
    typed = ecds_nm(read(data, pixel_size_nm=nm))
    assert len(typed) == 5
    # formats with a pixel size in single precision keep it to 1e-7; 0.1 % is what is promised
    np.testing.assert_allclose(ecds_nm(WAYS[way](tmp_path, data, nm)), typed, rtol=1e-3)


def test_a_signal_has_its_name_its_unit_and_its_images() -> None:
    movie = np.stack([discs(seed) for seed in range(3)])
    first = read(hyperspy_signal(movie[0], 0.25, "Å"))
    assert (first.name, first.pixel_size_nm) == ("from_HyperSpy", pytest.approx(0.025))
    assert first.pixel_size.source == "metadata"
    assert read(hyperspy_signal(movie[0], 2.0, "<undefined>")).pixel_size.source == "unknown"
    assert read(hyperspy_signal(movie, 2.0), frame=2).name == "from_HyperSpy_f0002"
    with pytest.raises(InputError, match=r"must hold one image, got 3 images: 0 to 2 \('from/HyperSpy', 90 x 60 px\)"):
        read(hyperspy_signal(movie, 2.0))
    assert read([hyperspy_signal(each, 2.0) for each in movie], frame=1).metadata["frame"] == 1


def test_arrays_may_be_grey_colour_or_stacks() -> None:
    grey = discs(0)
    np.testing.assert_array_equal(read(np.stack([grey] * 3, axis=-1)).pixels, read(grey).pixels)
    np.testing.assert_array_equal(read(np.stack([discs(1), grey]), frame=1).pixels, read(grey).pixels)
    assert read(grey).pixel_size.nm is None


@pytest.mark.parametrize("wrong", [5, None, {"data": 1}, [], [1], object()])
def test_what_is_no_image_is_refused(wrong: object) -> None:
    with pytest.raises(InputError, match="image: must be a path, an array, a HyperSpy signal"):
        read(wrong)


def test_spectra_are_refused() -> None:
    spectra = hyperspy_signal(discs(0), 2.0)
    spectra.axes_manager.content["axis-0"]["navigate"] = True
    with pytest.raises(InputError, match="its last two axes must be those of an image"):
        read(spectra)


def test_napari_gets_image_and_particles_with_their_table() -> None:
    micrograph = read(discs(0), pixel_size_nm=2.5)
    labels = label(micrograph.pixels > 0.5)
    particles = measure(labels, micrograph)
    (_, image, first), (values, found, second) = to_napari(micrograph, labels, particles)
    assert (first, second) == ("image", "labels")
    assert image["scale"] == found["scale"] == [2.5, 2.5]
    assert values is labels
    assert found["features"]["index"].tolist() == [1, 2, 3, 4, 5]
    pd.testing.assert_series_equal(found["features"]["ecd_nm"], particles["ecd_nm"])
    with pytest.raises(InputError, match="both must have one size"):
        to_napari(micrograph, labels[1:])


def test_ome_zarr_has_image_labels_and_pyramids_with_their_scale(tmp_path: Path) -> None:
    wide = read(np.tile(discs(0), (1, 30)), pixel_size_nm=0.5)  # 2700 px
    labels = label(wide.pixels > 0.5)
    root = zarr.open_group(write_ome_zarr(tmp_path / "a.zarr", wide, labels), mode="r")
    np.testing.assert_array_equal(root["0"][:], wide.pixels)
    np.testing.assert_array_equal(root["labels/particles/2"][:], labels[::4, ::4])
    for group in (root, root["labels/particles"]):
        (about,) = group.attrs["multiscales"]
        scales = [each["coordinateTransformations"][0]["scale"] for each in about["datasets"]]
        assert scales == [[0.5, 0.5], [1.0, 1.0], [2.0, 2.0]]
        assert [axis["unit"] for axis in about["axes"]] == ["nanometer", "nanometer"]
    assert root["labels"].attrs["labels"] == ["particles"]
    assert (tmp_path / "a.zarr/0/0/2").is_file()  # NGFF 0.4: chunks in folders
    with pytest.raises(InputError, match="is there already; give another name"):
        write_ome_zarr(tmp_path / "a.zarr", wide)


def test_without_zarr_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "zarr", None)
    with pytest.raises(InputError, match=r"nanolab\[zarr\]"):
        write_ome_zarr(tmp_path / "a.zarr", read(discs(0)))
