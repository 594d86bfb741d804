"""The degradation by which Mill et al. made rendered images as poor as real ones."""

from typing import Annotated, Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from nanolab.core.typing import FloatArray, Image, LabelMap
from nanolab.images.masks import eroded
from nanolab.synthesis.draws import Model, NotNegative, Record, default

__all__ = ["Degradation", "Mill2021", "degrade", "degrade_labels", "degraded_pixel_size", "degraded_shape"]

# Sides of the rendered and of the degraded image, in pixels.
RENDERED, DEGRADED = 507, 2031


class Mill2021(Model):
    """Enlarge bilinearly from 507 to 2031 pixels, which brings aliasing, and add Gaussian noise of SD `noise`.

    Labels are enlarged alike, binarised and eroded by `erosion_px` to widen the gaps between particles (Mill et al.,
    Small Methods 2021, 10.1002/smtd.202100223, section 4; the paper gives neither of the two numbers). The image comes
    straight from the specimen: beam, counting noise and display of the detector have no part in it. An image of
    another size than 507 x 507 is enlarged by the same factor.
    """

    kind: Literal["mill2021"] = "mill2021"
    noise: NotNegative = default([0.02, 0.08])
    erosion_px: Annotated[int, Field(ge=0, le=100)] = 3

    def draw(self, rng: np.random.Generator) -> Record:
        """Draw the values for one image."""
        return {
            "kind": self.kind,
            "seed": int(rng.integers(2**31)),
            "noise": float(self.noise.draw(rng, 1)[0]),
            "erosion_px": self.erosion_px,
        }


Degradation = Mill2021


def degraded_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return height and width of the degraded image in pixels."""
    height, width = (round(side * DEGRADED / RENDERED) for side in shape)
    return height, width


def degraded_pixel_size(pixel_size_nm: float) -> float:
    """Return the size of the degraded image's pixels in nm."""
    return pixel_size_nm * RENDERED / DEGRADED


def degrade(signal: Image, record: Record) -> Image:
    """Return the degraded image of a signal, larger, in [0, 1]."""
    rng = np.random.default_rng(record["seed"])
    image = np.asarray(cv2.resize(signal, degraded_shape(signal.shape)[::-1], interpolation=cv2.INTER_LINEAR))
    image = image + np.float32(record["noise"]) * rng.standard_normal(image.shape, dtype=np.float32)
    return np.asarray(np.clip(image, 0, 1))


def degrade_labels(labels: LabelMap, record: Record) -> LabelMap:
    """Return the label map that belongs to the degraded image.

    Each particle's mask is enlarged bilinearly, cut at one half, and eroded; what is left keeps its number.
    """
    shape = degraded_shape(labels.shape)
    rows, columns = (_sources(old, new) for old, new in zip(labels.shape, shape, strict=True))
    enlarged = labels[rows[0][:, None], columns[0]]
    near = [(labels[r[:, None], c], wr[:, None] * wc) for r, wr in _pairs(rows) for c, wc in _pairs(columns)]
    mixed = np.logical_or.reduce([other != enlarged for other, _ in near])
    values = np.stack([other[mixed] for other, _ in near])
    weights = np.stack([weight[mixed] for _, weight in near])
    enlarged[mixed] = _majority(values, weights)
    return eroded(enlarged, record["erosion_px"])


def _sources(old: int, new: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], FloatArray]:
    """Return the two pixels that each pixel of an enlarged row lies between, and the second one's weight."""
    place = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    first = np.minimum(place.astype(np.int64), old - 2)
    return first, first + 1, place - first


def _pairs(sources: tuple[Any, Any, Any]) -> list[tuple[Any, Any]]:
    first, second, weight = sources
    return [(first, 1 - weight), (second, weight)]


def _majority(values: LabelMap, weights: FloatArray) -> LabelMap:
    """Return the label that more than half of the weight is for, or 0; both arrays have shape (4, pixels)."""
    best = np.zeros(values.shape[1], dtype=np.int32)
    for value in values:
        share = ((values == value) * weights).sum(axis=0)
        best = np.where(share > 0.5, value, best)
    return best
