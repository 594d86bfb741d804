"""What every reader of annotations returns, and the checks they share."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from nanolab.core import validation
from nanolab.core.checks import InputError, check_file
from nanolab.core.files import parse_json
from nanolab.datasets.annotations.shapes import Shape, draw_particles

__all__ = ["Annotation", "Coordinate", "Lenient", "drawn", "read_text", "text_as_json", "validated"]

# The largest annotation file that is read: labelme may put the image itself into it.
_MOST_BYTES = 2**30

#: A coordinate in pixels; no image is as large as the bound.
Coordinate = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]

Parsed = TypeVar("Parsed", bound=BaseModel)


class Lenient(BaseModel):
    """Part of a file that another program wrote: what is not needed is not looked at."""

    model_config = ConfigDict(extra="ignore", frozen=True)


@dataclass(frozen=True)
class Annotation:
    """The annotation of one image.

    Attributes
    ----------
    image
        Name of the image: of its file, without any folder, or its stem.
    where
        What to call the annotation in an error.
    size
        Height and width of the image as the annotation has them, None if it does not say.
    particles
        How many particles were annotated; None for masks, of which it is known when they are read.
    labels
        Takes the image's (height, width) and returns the label map of that shape, 0 = background, 1..N.
    """

    image: str
    where: str
    size: tuple[int, int] | None
    particles: int | None
    labels: Callable[[tuple[int, int]], npt.NDArray[np.int32]]


def drawn(image: str, where: str, size: tuple[int, int] | None, particles: list[list[Shape]]) -> Annotation:
    """Return the annotation of an image whose particles were drawn as shapes."""
    return Annotation(image, where, size, len(particles), lambda shape: draw_particles(particles, shape))


def read_text(path: Path) -> str:
    """Read a text file of a size that can be one.

    Raises
    ------
    InputError
        If it is missing, empty, too large or not UTF-8.
    """
    if check_file(path, "annotation").stat().st_size > _MOST_BYTES:
        raise InputError(f"{path}: larger than {_MOST_BYTES >> 20} MiB, too large for an annotation; split it")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text ({error}); export the annotation again") from error


def text_as_json(text: str, where: str) -> Any:
    """Parse JSON; what is broken or nested beyond reason is an InputError."""
    return parse_json(text, where, "export the annotation again")


def validated(model: type[Parsed], content: Any, where: str) -> Parsed:
    """Return `content` as `model`; an InputError names the values that are not as they must be."""
    return validation.validated(model, content, f"{where}: not as the format has it")
