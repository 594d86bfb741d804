"""Micrographs to measure on: real ones, or, where none can be had, rendered ones that say so."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nanolab import catalog
from nanolab.datasets.annotated import Sample
from nanolab.synthesis.generate import render_dataset
from nanolab.synthesis.recipe import load_recipe

__all__ = ["STAND_IN", "Micrographs", "real_or_stand_in"]

#: The name under which results are recorded that rest on no real image, and that of the recipe behind them.
STAND_IN = "stand-in"
STAND_IN_RECIPE = "stand_in_sem"
STAND_IN_SEED = 2026


@dataclass(frozen=True)
class Micrographs:
    """Annotated micrographs, where they come from, and which annotated particles are too small to count."""

    samples: Sequence[Sample]
    source: str
    min_area_px: int

    @property
    def stand_in(self) -> bool:
        """True if they were rendered because no real ones can be had; figures and tables must then say so."""
        return self.source == STAND_IN


def real_or_stand_in(name: str, folder: Path | str, *, count: int, progress: bool = True) -> Micrographs:
    """Return the first `count` images of a public set if it is on this machine, and otherwise a stand-in.

    The stand-in is rendered into `folder` by a recipe that differs from those for training in shapes, substrate and
    detector; it shows that every step works, and says nothing about real images.

    Parameters
    ----------
    name
        A set that `nanolab data list` knows, or "stand-in" to use the stand-in in any case.
    count
        At least 2: one image chooses the epoch, the others are measured.

    Raises
    ------
    InputError
        If there is no such set, or it is on this machine but incomplete.
    """
    if name != STAND_IN and catalog.locate(name) is not None:
        return Micrographs(catalog.samples(name)[:count], name, catalog.PUBLIC[name].min_area_px)
    dataset = render_dataset(load_recipe(STAND_IN_RECIPE), folder, count, seed=STAND_IN_SEED, progress=progress)
    return Micrographs(dataset, STAND_IN, min_area_px=20)
