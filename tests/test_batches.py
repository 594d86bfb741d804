"""Whatever a library raises on one file, the others of a batch are done, and the message names that file."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tifffile
from helpers.discs import THRESHOLD, Threshold
from helpers.grid_discs import discs

from nanolab.datasets.annotations.importing import import_labels
from nanolab.datasets.dataset import read_manifest
from nanolab.images.labels import write_labels
from nanolab.images.tiff import write_tiff
from nanolab.measurement.label_files import measure_files
from nanolab.metrics.evaluate import evaluate_folders
from nanolab.models.checkpoint import save_checkpoint
from nanolab.models.registry import NETWORKS
from nanolab.reports import analysis
from nanolab.segmentation.files import segment_files


class StrangeError(Exception):
    """What no reader is known to raise."""


def segmented(folder: Path) -> Mapping[str, str]:
    model = folder / "model.safetensors"
    save_checkpoint(model, Threshold(1).state_dict(), {"settings": {"network": "threshold", "readout": "foreground"}})
    return segment_files([folder / "images"], model, folder / "out", progress=False).failures


def measured(folder: Path) -> Mapping[str, str]:
    done, failures = measure_files([folder / "masks"])
    assert [each.name for each in done] == ["a", "c"]
    return failures


def evaluated(folder: Path) -> Mapping[str, str]:
    result = evaluate_folders(folder / "masks", folder / "masks", warping=False)
    assert list(result["images"]) == ["a", "c"]
    return dict(result["errors"])


def imported(folder: Path) -> Mapping[str, str]:
    data = import_labels(folder / "masks", folder / "images", folder / "set", progress=False)
    assert list(data.names) == ["a", "c"]
    return dict(read_manifest(folder / "set")["left_out"])


def analysed(folder: Path) -> Mapping[str, str]:
    views, failures = analysis._views(sorted((folder / "images").iterdir()), None, find_scale_bar=False)
    assert [path.stem for path in views] == ["a", "c"]
    return failures


@pytest.mark.parametrize("error", [StrangeError("odd"), AssertionError(), MemoryError("8 GiB"), StopIteration()])
@pytest.mark.parametrize("verb", [segmented, measured, evaluated, imported, analysed])
def test_one_file_that_a_library_raises_on_ends_no_batch(
    verb: Callable[[Path], Mapping[str, str]], error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NETWORKS, "threshold", THRESHOLD["threshold"])
    for number, name in enumerate("abc"):
        labels = discs(number)
        grey = np.where(labels > 0, 200, 60).astype(np.uint8)
        if name == "b":
            PIL.Image.fromarray(grey).save(tmp_path / "images" / "b.png")
        else:
            write_tiff(tmp_path / "images" / f"{name}.tif", grey, pixel_size_nm=2.0)
        write_labels(tmp_path / "masks" / f"{name}.labels.tif", labels, pixel_size_nm=2.0)

    def raising(opened: Callable[..., object]) -> Callable[..., object]:
        def opens(file: object, *rest: object, **options: object) -> object:
            if Path(str(file)).name.startswith("b."):
                raise error
            return opened(file, *rest, **options)

        return opens

    monkeypatch.setattr(PIL.Image, "open", raising(PIL.Image.open))
    monkeypatch.setattr(tifffile, "TiffFile", raising(tifffile.TiffFile))
    ((_, message),) = verb(tmp_path).items()
    assert "b." in message
    assert type(error).__name__ in message or "does not fit into memory" in message
