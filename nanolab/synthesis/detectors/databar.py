"""Scale bars, data bars and panel letters burnt into a micrograph, so that a network learns what is no particle."""

from collections.abc import Iterator
from typing import Annotated, Literal, get_args

import numpy as np
from pydantic import Field

from nanolab.core.typing import Image, Mask
from nanolab.synthesis.detectors.layouts import LAYOUTS
from nanolab.synthesis.detectors.lettering import text_mask
from nanolab.synthesis.draws import Model, Record

__all__ = ["DataBar", "draw_over", "drawn_over"]

Style = Literal["zeiss", "thermo", "hitachi", "jeol", "figure"]


class DataBar(Model):
    """What is written on a micrograph: a share `probability` of them has one, in one of the `styles`.

    "zeiss", "thermo" and "hitachi" are strips along the lower edge with operating conditions and a scale bar; "jeol" is
    a line of text on the image; "figure" is a scale bar in a corner and sometimes a panel letter, as in papers.
    """

    probability: Annotated[float, Field(ge=0, le=1)] = 1.0
    styles: Annotated[list[Style], Field(min_length=1)] = list(get_args(Style))

    def draw(self, shape: tuple[int, int], pixel_size_nm: float, rng: np.random.Generator) -> Record | None:
        """Draw what one image has on it and where: None, or a record of `boxes`, `texts` and the `scale_bar`.

        A box is [top, left, bottom, right, grey], a text [text, top, left, height of capitals, font, grey], in pixels;
        the scale bar has its `length_nm`, and is the last of the boxes. A grey of None is black or white, whichever
        stands out.
        """
        if rng.random() >= self.probability:
            return None
        style = self.styles[rng.integers(len(self.styles))]
        return {"style": style, **LAYOUTS[style](shape, pixel_size_nm, rng)}


def draw_over(image: Image, record: Record) -> Image:
    """Return the image with the record's boxes and texts on it."""
    outstanding = 1.0 if image.mean() < 0.5 else 0.0
    image = image.copy()
    for box, opacity, grey in _marks(image, record):
        np.add(box, opacity * (np.float32(outstanding if grey is None else grey) - box), out=box)
    return image


def drawn_over(shape: tuple[int, int], record: Record) -> Mask:
    """Return where `draw_over` hides the specimen, shape (height, width): boxes, and the strokes of letters."""
    hidden = np.zeros(shape, dtype=np.float32)
    for box, opacity, _ in _marks(hidden, record):
        np.maximum(box, opacity, out=box)
    return hidden > 0.5


def _marks(image: Image, record: Record) -> Iterator[tuple[Image, Image | np.float32, float | None]]:
    """Give the window of the image that each box and then each text takes, its opacity there, and its grey."""
    for top, left, bottom, right, grey in record["boxes"]:
        yield image[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)], np.float32(1), grey
    for text, top, left, height_px, font, grey in record["texts"]:
        yield *_placed(image, text_mask(text, height_px, font), top, left), grey


def _placed(image: Image, mask: Image, top: int, left: int) -> tuple[Image, Image]:
    """Return the window of the image under a mask at (top, left), and the part of the mask that lies in the image."""
    window = image[max(top, 0) : max(top + mask.shape[0], 0), max(left, 0) : max(left + mask.shape[1], 0)]
    first = max(-top, 0), max(-left, 0)
    return window, mask[first[0] : first[0] + window.shape[0], first[1] : first[1] + window.shape[1]]
