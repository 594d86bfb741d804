"""What all makers of data sets share: how many images, what found no place."""

import logging
import shutil
from pathlib import Path

from nanolab.core.checks import InputError
from nanolab.core.files import output_folder
from nanolab.datasets.dataset import Dataset

__all__ = ["check_count", "placed_particles", "warn_of_few"]

logger = logging.getLogger(__name__)

MOST_IMAGES = 1_000_000
# An image of 8 bits and a label map of 16, before they are compressed.
BYTES_PER_PIXEL = 3
# With fewer of the particles that were asked for, images do not show what the recipe says.
FEW = 0.9


def check_count(count: int, pixels: int, folder: Path | str) -> None:
    """Require a number of images of so many `pixels` each that can be made; warn where they may not find room.

    Raises
    ------
    InputError
        If there is none, or more than a million.
    """
    size_gb = count * pixels * BYTES_PER_PIXEL / 1e9
    if not 1 <= count <= MOST_IMAGES:
        large = f", up to {size_gb:,.0f} GB on disk; make several data sets" if count > 1 else ""
        raise InputError(f"count must be between 1 and {MOST_IMAGES:,} images, got {count:,}{large}")
    free_gb = shutil.disk_usage(output_folder(folder)).free / 1e9
    if size_gb > free_gb:
        logger.warning("%s: %d images take up to %.0f GB, and %.0f GB are free", folder, count, size_gb, free_gb)


def placed_particles(dataset: Dataset) -> tuple[int, int]:
    """Return how many particles found a place in the images, and how many were asked for."""
    records = (dataset.manifest or {"records": {}})["records"].values()
    placed, requested = ([record.get(f"particles_{what}", 0) for record in records] for what in ("placed", "requested"))
    return sum(placed), sum(requested)


def warn_of_few(dataset: Dataset) -> None:
    """Say so where many particles found no place."""
    placed, requested = placed_particles(dataset)
    if placed < FEW * requested:
        found = f"{placed} of the {requested} particles that were asked for found a place"
        logger.warning("%s: %s; ask for fewer or smaller ones, or for larger images", dataset.folder, found)
