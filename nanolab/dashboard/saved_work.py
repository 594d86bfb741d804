"""What a visitor's work is saved as, to be opened again: which images, how they were evaluated, what was corrected."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from nanolab.core.files import parse_json
from nanolab.core.validation import validated
from nanolab.dashboard.edits import Edit
from nanolab.images.pixel_size import PixelSize
from nanolab.measurement.fits import FITS
from nanolab.measurement.size_sample import Border

__all__ = ["FIT_CHOICES", "QUANTITIES", "SavedImage", "SavedWork", "parse_work"]

#: Distributions to choose from; "auto" has the lowest BIC.
FIT_CHOICES = ("auto", *FITS, "none")
#: What can count as size.
QUANTITIES = ("ecd", "sqrt_area", "feret_max", "feret_min", "major_axis", "minor_axis", "perimeter")


class SavedImage(BaseModel):
    """One image: its file and the label map found in it by their SHA-256, and what is not in the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    sha256: str
    found: str
    model: str
    pixel_size: PixelSize
    edits: tuple[Edit, ...]


class SavedWork(BaseModel):
    """All images of a visitor and how they are evaluated; the images themselves stay where they are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    nanolab: str
    quantity: Literal[QUANTITIES]  # type: ignore[valid-type]  # which pydantic takes apart
    fit_name: Literal[FIT_CHOICES]  # type: ignore[valid-type]
    border: Border
    where: str = ""
    images: tuple[SavedImage, ...]


def parse_work(content: bytes, where: str) -> SavedWork:
    """Return the work in a file that was saved; one that is none is an InputError that says why."""
    return validated(SavedWork, parse_json(content, where, mend="choose a file saved here"), where)
