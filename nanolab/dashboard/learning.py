"""What corrections teach: a data set of what was looked at, and the network in use, trained on from it."""

import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from nanolab.core.checks import InputError
from nanolab.core.words import count_words
from nanolab.dashboard.workbench import WorkbenchImage
from nanolab.datasets.looked_at import write_looked_at
from nanolab.images.labels import write_labels
from nanolab.images.tiff import write_tiff
from nanolab.models.epochs import epoch_file, epochs_of

__all__ = ["Learning", "compared_words", "corrected_images", "write_data_set"]

#: Of the training, over those of the preset `corrections`: one to three minutes on two cores.
SETTINGS: Final = {"epochs": 8, "steps_per_epoch": 20}


def corrected_images(images: Iterable[WorkbenchImage]) -> list[WorkbenchImage]:
    """Return the images in which something was corrected, or said to be right.

    Raises
    ------
    InputError
        If there is none.
    """
    corrected = [each for each in images if each.edits]
    if not corrected:
        raise InputError("nothing is corrected yet; correct some particles, or drag around some that are right (Seen)")
    return corrected


def write_data_set(images: Sequence[WorkbenchImage], folder: Path) -> Path:
    """Write images with their particles and where somebody looked, as `nanolab train` takes them; return the folder.

    Only what was looked at counts there: around each correction, and where that was said.
    """
    for each in images:
        nm = each.micrograph.pixel_size_nm
        grey = np.rint(each.micrograph.pixels.clip(0, 1) * np.iinfo(np.uint16).max).astype(np.uint16)
        write_tiff(folder / "images" / f"{each.name}.tif", grey, pixel_size_nm=nm)
        write_labels(folder / "masks" / f"{each.name}.tif", each.labels, pixel_size_nm=nm)
        write_looked_at(folder, each.name, each.corrected.looked_at())
    return folder


def compared_words(before: WorkbenchImage, after: WorkbenchImage) -> str:
    """Return how many particles there are and how large they are, before and after a network has learned."""
    unit = "px" if before.micrograph.pixel_size_nm is None else "nm"
    counts = f"{len(before.particles)} → {count_words(len(after.particles), 'particle')}"
    medians = [each.particles[f"ecd_{unit}"].median() for each in (before, after)]
    shown = " → ".join("none" if np.isnan(each) else f"{each:.4g}" for each in medians)
    return f"{before.name}: {counts}, median ECD {shown} {unit}"


class Learning:
    """A network that goes on learning from a data set, in a process of its own, as `nanolab train --from` does.

    Parameters
    ----------
    data
        Folder of the data set.
    start_from
        The network to go on from.
    folder
        Of the training.
    """

    def __init__(self, data: Path, start_from: Path, folder: Path) -> None:
        self.folder, self._log = folder, folder.with_suffix(".log")
        words = ["train", str(data), "--from", str(start_from), "--preset", "corrections", "--output", str(folder)]
        changes = [word for name, value in SETTINGS.items() for word in ("--set", name, str(value))]
        folder.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "nanolab", *words, *changes], stdout=log, stderr=subprocess.STDOUT
            )

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return self._process.poll() is None

    @property
    def done(self) -> float:
        """Which part of it is done, 0 to 1."""
        return len(epochs_of(self.folder)) / SETTINGS["epochs"]

    def stop(self) -> None:
        """End it; what is learned by then can be used."""
        self._process.terminate()
        self._process.wait()

    def network(self) -> Path:
        """Return the file of what has been learned.

        Raises
        ------
        InputError
            If that is nothing.
        """
        if epochs := epochs_of(self.folder):
            return epoch_file(self.folder, epochs[-1])
        said = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        if self._process.returncode > 0 and said:
            raise InputError(f"learning failed: {said[-1]}")
        raise InputError("stopped before anything was learned")
