"""What every reader of annotations returns, and the checks they share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from nanolab.core import validation
from nanolab.core.checks import InputError, check_file
from nanolab.core.files import parse_json
from nanolab.core.typing import LabelMap
from nanolab.datasets.annotations.shapes import Shape, draw_particles

__all__ = [
    "Annotation",
    "Coordinate",
    "Lenient",
    "Regions",
    "read_json",
    "read_text",
    "shortened",
    "unreadable",
    "validated",
]

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
    remarks
        What was left out of it and why, and what the user should know of how it was understood.
    """

    image: str
    where: str
    size: tuple[int, int] | None
    particles: int | None
    labels: Callable[[tuple[int, int]], LabelMap]
    remarks: tuple[str, ...] = ()


class Regions:
    """The regions drawn in one image, gathered as its file is read; one that is no particle is left out and said.

    Parameters
    ----------
    image, where, size
        See `Annotation`.
    """

    def __init__(self, image: str, where: str, size: tuple[int, int] | None = None) -> None:
        self.image, self.where, self.size = image, where, size
        self.remarks: list[str] = []
        self._particles: dict[object, list[Shape]] = {}
        self._left_out: list[str] = []

    def add(self, read: Callable[[], list[Shape]], particle: object = None) -> None:
        """Add a region, or say why it cannot be read; those of one `particle` are parts of it."""
        try:
            shapes = read()
        except InputError as error:
            self._left_out.append(str(error))
        else:
            self._particles.setdefault(object() if particle is None else particle, []).extend(shapes)

    def annotation(self, parts: Callable[[list[Shape]], list[Shape]] = list) -> Annotation:
        """Return what was gathered, where `parts` makes one particle of its shapes; none if all had to be left out."""
        particles = [parts(shapes) for shapes in self._particles.values()]
        remarks = [f"left out: {why}" for why in self._left_out] + self.remarks
        return Annotation(
            self.image, self.where, self.size, len(particles), partial(self._draw, particles), tuple(remarks)
        )

    def _draw(self, particles: list[list[Shape]], shape: tuple[int, int]) -> LabelMap:
        if self._left_out and not particles:
            raise InputError(shortened(self._left_out))
        return draw_particles(particles, shape)


def unreadable(where: str, error: InputError) -> Annotation:
    """Return what stands for an image whose entry in a file for many images is not as it must be."""

    def refuse() -> list[Shape]:
        raise error

    regions = Regions("", where)
    regions.add(refuse)
    return regions.annotation()


def shortened(texts: Sequence[str]) -> str:
    """Return the first of many texts, and how many more there are."""
    return texts[0] + (f"; and {len(texts) - 1} more like it" if len(texts) > 1 else "")


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


def read_json(path: Path) -> Any:
    """Parse a file of JSON; what is broken, not UTF-8 or nested beyond reason is an InputError."""
    # with NaN, which spoils the region that has it, not the file
    return parse_json(read_text(path), str(path), "export the annotation again", nan=True)


def validated(model: type[Parsed], content: Any, where: str) -> Parsed:
    """Return `content` as `model`; an InputError names the values that are not as they must be."""
    return validation.validated(model, content, f"{where}: not as the format has it")
