"""A dashboard whose answers are known: what is brighter than mid-grey is particle; no network is loaded."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from nanolab.dashboard.server import serve_dashboard
from nanolab.dashboard.session import Models, Progress
from nanolab.dashboard.workbench import Finder
from nanolab.images.labels import labels_from_mask, remove_small
from nanolab.images.trust import Trust


@dataclass
class FoundBright:
    labels: npt.NDArray[np.int32]
    trust: Trust | None = None
    unlikely: int = 0


class Bright:
    def find(self, image: npt.NDArray[np.floating], *, pixel_size_nm: float | None = None) -> FoundBright:
        return FoundBright(remove_small(labels_from_mask(ndimage.gaussian_filter(image, 1) > 0.5), 60))


class BrightModels(Models):
    def __init__(self, trainings: Sequence[Path | str] = ()) -> None:
        self._finder = Bright()

    @property
    def names(self) -> list[str]:
        return ["bright", "bright as well"]

    def get(
        self, name: str, dynamic: float | None = None, *, quick: bool = False, progress: Progress = lambda done: None
    ) -> Finder:
        return self._finder


if __name__ == "__main__":
    host, token = (*sys.argv[1:], "", "")[:2]
    serve_dashboard(
        BrightModels(), host=host or "localhost", port=0, token=token or None, upload_mb=3,
        ready=lambda url: print(url, flush=True),
    )  # fmt: skip
