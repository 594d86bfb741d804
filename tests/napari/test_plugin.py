"""The plugin for napari without napari: its manifest (npe2 0.10 takes it), its commands called as napari calls them."""

from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
import yaml

from nanolab.images.tiff import write_tiff
from nanolab.napari import plugin
from nanolab.napari.plugin import find_particles, get_reader
from nanolab.segmentation import segmenter

MANIFEST = Path(plugin.__file__).with_name("napari.yaml")


def disc() -> np.ndarray:
    rows, cols = np.ogrid[:40, :60]
    shown = np.full((40, 60), 50, np.uint8)
    shown[(rows - 20) ** 2 + (cols - 30) ** 2 < 100] = 200
    return shown


def test_the_manifest_is_one_and_names_what_is_there() -> None:
    manifest = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))
    assert manifest["name"] == "nanolab"  # npe2 requires that of the package
    contributions = manifest["contributions"]
    for command in contributions["commands"]:
        module, name = command["python_name"].split(":")
        assert module == plugin.__name__
        assert callable(getattr(plugin, name))
    commands = {command["id"] for command in contributions["commands"]}
    assert all(command.startswith("nanolab.") for command in commands)  # npe2 requires that as well
    (reader,), (widget,) = contributions["readers"], contributions["widgets"]
    assert {reader["command"], widget["command"]} == commands
    assert {pattern.removeprefix("*") for pattern in reader["filename_patterns"]} == plugin.IMAGE_SUFFIXES


def test_files_become_layers_with_their_pixel_size(tmp_path: Path) -> None:
    write_tiff(tmp_path / "a.tif", disc(), pixel_size_nm=2.5)
    reader = get_reader(str(tmp_path / "a.tif"))
    assert reader is not None
    ((pixels, about, kind),) = reader(str(tmp_path / "a.tif"))
    assert (pixels.shape, about["scale"], kind) == ((40, 60), [2.5, 2.5], "image")
    assert len(reader([str(tmp_path / "a.tif")] * 2)) == 2
    assert get_reader("notes.txt") is None
    assert get_reader(["a.tif", "notes.txt"]) is None


def test_a_stack_is_one_layer(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.stack([disc(), disc().T.reshape(40, 60)]), photometric="minisblack")
    reader = get_reader(str(tmp_path / "a.tif"))
    assert reader is not None
    ((pixels, about, _),) = reader(str(tmp_path / "a.tif"))
    assert (pixels.shape, about["scale"]) == ((2, 40, 60), [1.0, 1.0, 1.0])


@pytest.mark.parametrize("typed", [0.0, 5.0])
def test_particles_become_a_layer_of_labels_with_their_table(typed: float, monkeypatch: pytest.MonkeyPatch) -> None:
    def above_half(image: object) -> np.ndarray:
        return (image.pixels > 0.5).astype(np.int32)

    monkeypatch.setattr(segmenter, "segment", above_half)
    about = {"pixel_size_nm": 2.5, "pixel_size": "2.5 nm"}
    layer = SimpleNamespace(data=disc() / np.float32(255), metadata=about, name="a", scale=np.array([2.5, 2.5]))
    ((labels, settings, kind),) = find_particles(layer, pixel_size_nm=typed)
    assert (kind, labels.max(), settings["name"], settings["scale"]) == ("labels", 1, "a particles", [2.5, 2.5])
    ecd_px = np.sqrt(4 * (labels > 0).sum() / np.pi)
    assert settings["features"]["ecd_nm"].tolist() == pytest.approx([ecd_px * (typed or 2.5)])


def test_napari_can_find_the_manifest() -> None:
    named = {each.value for each in entry_points(group="napari.manifest") if each.name == "nanolab"}
    assert named <= {"nanolab.napari:napari.yaml"}  # empty where nanolab was installed before it had one
