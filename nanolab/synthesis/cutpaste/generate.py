"""From a few annotated micrographs to a dataset on disk.

Image k depends on the sources, the settings, the seed and k alone, so that workers, a kill and a new start change
nothing.
"""

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from pathlib import Path
from typing import Any

import cv2
import yaml
from tqdm.auto import tqdm

from nanolab.core.checks import InputError
from nanolab.core.files import locked
from nanolab.core.processes import worker_count, worker_pool
from nanolab.core.seeds import generator
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.datasets.dataset import Dataset
from nanolab.datasets.writer import DatasetWriter
from nanolab.synthesis.cutpaste.composition import compose, draw_composition
from nanolab.synthesis.cutpaste.material import IMAGE, Material, check_source, describe_source, prepare
from nanolab.synthesis.cutpaste.settings import PRESETS, CutPasteSettings
from nanolab.synthesis.dataset_folder import check_count, warn_of_few

__all__ = ["cut_and_paste"]

logger = logging.getLogger(__name__)

# Images a job makes at most, so that the bar moves and all workers have something to do to the end.
_JOB_IMAGES = 16

#: Micrographs, each alone in a sequence that may read it when asked, with their numbers in the run.
Sources = list[tuple[int, Sequence[AnnotatedImage]]]


def cut_and_paste(
    pairs: Sequence[AnnotatedImage],
    folder: Path | str,
    count: int,
    settings: CutPasteSettings = PRESETS["default"],
    *,
    seed: int = 0,
    workers: int | None = None,
    progress: bool = True,
) -> Dataset:
    """Cut the particles out of annotated micrographs and paste them into `count` new ones, or complete what is there.

    Of several pairs, those without a whole particle or without background are left out; a warning and `recipe.yaml`
    say which and why.

    Parameters
    ----------
    pairs
        Annotated micrographs; one is enough. They take turns, unless `settings.mix_sources`.
    folder
        The dataset's folder; one that was made of other sources, by other settings or another seed is refused.
    count
        How many images the dataset shall have in the end.
    settings
        See `CutPasteSettings`.
    seed
        The run's one seed: another one gives other images, the same one the same.
    workers
        Processes that work side by side; by default one per processor core. With 1 no process is started.

    Raises
    ------
    InputError
        If the folder cannot be used, another process writes into it, `count` is not from 1 to a million, or no pair
        can be used.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from nanolab.images.pixel_size import PixelSize
    >>> rows, columns = np.mgrid[:128, :128]
    >>> labels = (np.hypot(rows - 64, columns - 64) < 12).astype(np.int32)
    >>> image = np.float32(0.3 + 0.4 * labels)
    >>> pair = AnnotatedImage("disc", image, labels, PixelSize.typed(2.0), Path("disc.tif"))
    >>> settings = CutPasteSettings(size_px=64, particles=3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cut_and_paste([pair], folder, 1, settings, workers=1, progress=False)[0].labels.shape
    (64, 64)
    """
    check_count(count, settings.size_px**2, folder)
    workers = worker_count(workers)
    with locked(folder, "writes"):
        sources, recipe = _usable(pairs, settings, progress)
        writer = DatasetWriter(folder, recipe, {"seed": seed}, versions={"opencv": cv2.__version__})
        missing = writer.missing(count)
        jobs = [
            ([(number, pairs[number : number + 1]) for number in numbers], settings, recipe, str(folder), seed, images)
            for numbers, images in _jobs(sources, missing, settings.mix_sources, workers)
        ]
        with tqdm(total=count, initial=count - len(missing), unit="image", desc="paste", disable=not progress) as bar:
            if workers == 1 or len(jobs) <= 1:
                for job in jobs:
                    bar.update(_make(*job))
            else:
                with worker_pool(min(workers, len(jobs))) as pool:
                    for done in as_completed([pool.submit(_make_alone, *job) for job in jobs]):
                        bar.update(done.result())
        dataset = writer.finish(count)
    warn_of_few(dataset)
    return dataset


def _usable(pairs: Sequence[AnnotatedImage], settings: CutPasteSettings, progress: bool) -> tuple[list[int], str]:
    """Return the numbers of the pairs that can be used, and the text of `recipe.yaml`."""
    described, left_out = {}, {}
    reasons: list[InputError] = []
    for number, pair in enumerate(tqdm(pairs, unit="pair", desc="check", disable=not progress)):
        try:
            check_source(pair, settings)
            described[number] = describe_source(pair)
        except InputError as error:
            left_out[pair.name] = str(error)
            reasons.append(error)
    if not described:
        raise reasons[0] if reasons else InputError("cut and paste needs at least one annotated micrograph, got none")
    for reason in left_out.values():
        logger.warning("left out: %s", reason)
    content = {
        "kind": "cut and paste",
        "settings": settings.model_dump(mode="json"),
        "sources": list(described.values()),
        "left_out": left_out,
    }
    return list(described), str(yaml.safe_dump(content, sort_keys=False))


def _jobs(sources: list[int], missing: Sequence[int], mix: bool, workers: int) -> Iterator[tuple[list[int], list[int]]]:
    """Give the sources and the images of each job: images of one source together, for it has to be prepared."""
    of_source: dict[int, list[int]] = {}
    for index in missing:
        of_source.setdefault(0 if mix else sources[index % len(sources)], []).append(index)
    for source, images in of_source.items():
        size = max(1, min(_JOB_IMAGES, -(-len(images) // workers)))
        for start in range(0, len(images), size):
            yield (sources if mix else [source]), images[start : start + size]


def _make_alone(*job: Any) -> int:
    """Do a job in a process of its own, on one core."""
    cv2.setNumThreads(1)
    return _make(*job)


_latest: dict[Any, Material] = {}  # the material of the last job; the next one often needs the same


def _make(sources: Sources, settings: CutPasteSettings, recipe: str, folder: str, seed: int, images: list[int]) -> int:
    """Make the given images of some sources and write them; return how many."""
    key = (recipe, seed, tuple(number for number, _ in sources))
    if key not in _latest:
        _latest.clear()
        _latest[key] = prepare([(number, read[0]) for number, read in sources], settings, seed=seed)
    material = _latest[key]
    writer = DatasetWriter(folder, recipe, {"seed": seed}, versions={"opencv": cv2.__version__})
    for index in images:
        record = draw_composition(material, settings, generator(seed, IMAGE, index))
        made = compose(material, settings, record)
        record = {"sources": material.sources, **record}
        writer.write(index, made.image, made.labels, made.particles, material.pixel_size_nm, record)
    return len(images)
