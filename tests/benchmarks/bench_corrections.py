"""What a network learns from a few corrected particles, of which real annotation plays the corrector.

Half of a set's images are corrected: a person looks at a square in each until so many particles are right, and leaves
the rest of the image as it is. The network that ships goes on learning from these alone (preset `corrections`, as
the dashboard does), and both find the particles of the other half. The same network is scored on a
sample of EMPS, for what it may have forgotten.

`make bench` does it once, small. `python tests/benchmarks/bench_corrections.py OUT.csv SET SEED COUNT...` appends one
row per count; a set is `bam-tio2` or a class of EMPS such as `rod-sem`, and a count of 0 is the network as it ships. A
training takes a second for each step on one core.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy.ndimage import find_objects

from nanolab.datasets.annotated import AnnotatedImage
from nanolab.datasets.public import PUBLIC, image_classes, public_images
from nanolab.experiments.benchmark import score_image
from nanolab.images.labels import remove_small
from nanolab.models.shipped import shipped_model
from nanolab.segmentation.segmenter import Segmenter
from nanolab.training.loop import train
from nanolab.training.presets import preset_settings

pytestmark = pytest.mark.bench

AT_LEAST = 10  # particles corrected in an image
KEPT_BACK, SAMPLE_SEED = 40, 0  # images of EMPS on which forgetting shows
SETTINGS = {"threads": 1, "keep": "every 100"}


def halves(name: str) -> tuple[list[AnnotatedImage], list[AnnotatedImage]]:
    """Return the images to correct and the others, of `bam-tio2` or of a class of EMPS."""
    if name == "bam-tio2":
        images = list(public_images(name))
        return images[::2], images[1::2]
    shape, modality = name.split("-", 1)
    table = image_classes()
    table = table[table["usable"] & (table["shape"] == shape) & (table["modality"] == modality)]
    everything = public_images("emps")
    images = [everything[everything.names.index(each)] for each in table.index]
    return images[::2], images[1::2]


def emps_sample(count: int = KEPT_BACK) -> list[AnnotatedImage]:
    """Return images of EMPS, always the same."""
    images = public_images("emps")
    usable = np.flatnonzero(image_classes()["usable"].reindex(images.names).fillna(False).to_numpy(dtype=bool))
    return [images[int(at)] for at in np.random.default_rng(SAMPLE_SEED).choice(usable, count, replace=False)]


def least_area_px(name: str) -> int:
    """Return below which area annotated particles are fragments."""
    return PUBLIC[name if name in PUBLIC else "emps"].min_area_px


def looked_at(labels: npt.NDArray[np.int32], count: int, rng: np.random.Generator) -> tuple[npt.NDArray[np.bool_], int]:
    """Return the square around a point drawn at random that holds so many whole particles, or all there are."""
    middle = np.array([rng.integers(length) for length in labels.shape])
    boxes = [[(side.start, side.stop) for side in box] for box in find_objects(labels) if box is not None]
    ends = np.array(boxes, dtype=np.float64).reshape(-1, 2, 2)
    reach = np.sort(np.abs(ends - [[0], [0]] - middle[None, :, None]).max(axis=(1, 2), initial=0)) + 1
    count = min(count, len(reach))
    low, high = (
        np.clip(middle + sign * (reach[count - 1] if count else 0), 0, labels.shape).astype(int) for sign in (-1, 1)
    )
    seen = np.zeros(labels.shape, dtype=bool)
    seen[low[0] : high[0] + 1, low[1] : high[1] + 1] = True
    return seen, count


def corrected(images: Sequence[AnnotatedImage], count: int, seed: int, min_area_px: int) -> Iterator[AnnotatedImage]:
    """Yield images of which a square was looked at, with so many particles in all."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(images))
    for number, at in enumerate(order):
        if count <= 0:
            return
        image = images[at]
        assert image.labels is not None
        wanted = min(count, max(AT_LEAST, ceil(count / (len(images) - number))))
        seen, found = looked_at(remove_small(image.labels, max(min_area_px, 1)), wanted, rng)
        count -= found
        yield replace(image, looked_at=seen)


def scores(segmenter: Segmenter, images: Sequence[AnnotatedImage], min_area_px: int) -> dict[str, float]:
    """Return how well images are segmented: F1 over all their particles, and the errors of D50 image by image."""
    rows = [
        score_image(each, segmenter.find(each.image, pixel_size_nm=each.pixel_size.nm).labels, min_area_px=min_area_px)[
            0
        ]
        for each in images
    ]
    table = pd.DataFrame(rows)
    tp, fp, fn = table[["tp", "fp", "fn"]].sum()
    return {
        "images": len(table),
        "f1": 2 * tp / max(2 * tp + fp + fn, 1),
        "precision": tp / max(tp + fp, 1),
        "recall": tp / max(tp + fn, 1),
        "f1_mean": table["f1"].mean(),
        "dice": table["dice"].mean(),
        "D50_error": table["D50_error"].median(),
        "D50_error_size": table["D50_error"].abs().mean(),
    }


def network(images: Sequence[AnnotatedImage], folder: Path, changes: dict[str, Any]) -> Path:
    """Return the network that ships after it has learned from corrected images; as it ships where there are none."""
    if not images:
        return shipped_model()
    run = train(
        [images], folder, preset_settings("corrections", {**SETTINGS, **changes}), progress=False, tensorboard=False
    )
    return run.checkpoint(run.selected_epoch)


def row(name: str, count: int, seed: int, *, most: int | None = None, emps: int = 0, **changes: Any) -> dict[str, Any]:
    """Return what comes of so many corrected particles; `most` and `emps` say on how many images it is scored."""
    least = least_area_px(name)
    own, others = halves(name)
    taught = list(corrected(own, count, seed, least))
    with TemporaryDirectory() as folder:
        model = network(taught, Path(folder), {"seed": seed, **changes})
        segmenter = Segmenter(model, magnification="auto")
        found = scores(segmenter, others[:most], least)
        kept = scores(segmenter, emps_sample(emps), least_area_px("emps")) if emps else {}
    said = {"set": name, "corrected": count, "seed": seed, "in_images": len(taught)}
    return {**said, **found, **{f"emps_{key}": value for key, value in kept.items() if key in ("f1", "f1_mean")}}


def test_corrected_particles_teach_the_network_that_ships(bam_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANOLAB_DATA", str(bam_folder.parent))
    rows = [row("bam-tio2", count, 0, most=3, steps_per_epoch=30) for count in (0, 100)]
    table = pd.DataFrame(rows)
    print(f"\n{table.round(3).to_string()}")
    assert table["f1"].is_monotonic_increasing


if __name__ == "__main__":
    out, which, chosen_seed, *counts = sys.argv[1:]
    for each in map(int, counts):
        emps_images = KEPT_BACK if which == "bam-tio2" and each in (0, 100) else 0
        pd.DataFrame([row(which, each, int(chosen_seed), emps=emps_images)]).round(4).to_csv(
            out, mode="a", header=not Path(out).exists(), index=False
        )
