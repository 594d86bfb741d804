"""Star-convex outlines of particles: found, compared, drawn. Outlines may overlap, label maps cannot."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from skimage.draw import polygon

from nanolab.core.extras import optional
from nanolab.core.typing import Image, LabelMap
from nanolab.images.coco import coco_particle, write_coco

with optional():
    from stardist.geometry import dist_to_coord, polygons_to_label
    from stardist.nms import non_maximum_suppression_inds

__all__ = ["Outlines", "find_outlines", "join", "write_outlines"]


_LEAST_PX = 1e-3  # as in StarDist: an outline must have an inside


@dataclass(frozen=True)
class Outlines:
    """Polygons around centres, the best first.

    Attributes
    ----------
    centres
        Shape (N, 2), row and column of a pixel in each.
    distances
        Shape (N, rays), px from the centre to the outline; ray k leaves at the angle 2 pi k / rays, the first along
        the row towards higher columns, further ones turning towards higher rows.
    scores
        Shape (N,), the object probability at each centre.
    """

    centres: npt.NDArray[np.int64]
    distances: Image
    scores: Image

    def __len__(self) -> int:
        """Return the number of outlines."""
        return len(self.scores)

    @property
    def corners(self) -> Image:
        """Row and column of the corners, shape (N, 2, rays)."""
        return dist_to_coord(self.distances, self.centres)

    def take(self, which: npt.NDArray[np.generic]) -> "Outlines":
        """Return those that an index array or a mask of shape (N,) selects."""
        return Outlines(self.centres[which], self.distances[which], self.scores[which])

    def kept(self, before: LabelMap, after: LabelMap) -> "Outlines":
        """Return them without those whose centre lies in a particle of a label map that was left out after."""
        at = tuple(self.centres.T)
        return self.take((before[at] == 0) | (after[at] > 0))

    def moved(self, rows: int, cols: int) -> "Outlines":
        """Return them in an image in which these are rows and columns further."""
        return Outlines(self.centres + np.array([rows, cols]), self.distances, self.scores)

    def drawn(self, shape: tuple[int, ...]) -> npt.NDArray[np.int32]:
        """Return a label map of this shape: 1 to N in their order, the better ones on top of the others."""
        return polygons_to_label(self.distances, self.centres, shape, prob=self.scores).astype(np.int32, copy=False)

    def whole(self, index: int, shape: tuple[int, ...]) -> tuple[npt.NDArray[np.bool_], tuple[int, int]]:
        """Return what one of them covers of an image of this shape, also where others lie on top of it.

        Returns
        -------
        mask, corner
            The mask, shape (rows, columns), and row and column of its first pixel in the image. A mask without pixels
            has the shape (0, 0).
        """
        corners = dist_to_coord(self.distances[[index]], self.centres[[index]])[0]
        rows, cols = polygon(corners[0], corners[1], shape)
        if not len(rows):
            return np.zeros((0, 0), dtype=np.bool_), (0, 0)
        top, left = int(rows.min()), int(cols.min())
        mask = np.zeros((int(rows.max()) - top + 1, int(cols.max()) - left + 1), dtype=np.bool_)
        mask[rows - top, cols - left] = True
        return mask, (top, left)


def find_outlines(probability: Image, distances: Image, *, threshold: float, overlap: float) -> Outlines:
    """Choose outlines that do not cover each other too much, the most probable first (non-maximum suppression).

    Candidates are the pixels that no neighbour exceeds. StarDist itself also tries all other pixels, a hundred times
    as many; nearly all of them lose against the maximum of their own particle.

    Parameters
    ----------
    probability
        Shape (height, width): the object probability of each pixel.
    distances
        Shape (rays, height, width): px to the outline; pixels with a distance of 0 are no candidates.
    threshold
        Least object probability.
    overlap
        Largest share of the smaller one of two outlines that may lie in the other.

    References
    ----------
    Schmidt et al., Cell detection with star-convex polygons, 10.1007/978-3-030-00934-2_30.
    """
    probability = np.ascontiguousarray(probability)
    highest = cv2.dilate(probability, np.ones((3, 3), dtype=np.uint8))
    centres = np.argwhere((probability >= threshold) & (probability == highest) & (distances[0] > 0))
    at = tuple(centres.T)
    best = np.argsort(-probability[at], kind="stable")
    rays = np.maximum(distances[(slice(None), *at)].T[best], np.float32(_LEAST_PX))
    candidates = Outlines(centres[best], rays, probability[at][best])
    if not len(candidates):
        return candidates
    points = candidates.centres.astype(np.int32)
    kept = non_maximum_suppression_inds(rays, points, candidates.scores, thresh=overlap, verbose=0)
    return candidates.take(kept)


def join(parts: Sequence[Outlines]) -> Outlines:
    """Return the outlines of several parts of an image, at least one, as one, the best first."""
    scores = np.concatenate([part.scores for part in parts])
    best = np.argsort(-scores, kind="stable")
    centres, distances = (np.concatenate([getattr(part, name) for part in parts]) for name in ("centres", "distances"))
    return Outlines(centres[best], distances[best], scores[best])


def write_outlines(path: Path | str, outlines: Outlines, shape: tuple[int, ...], image: str) -> None:
    """Write what each outline covers of an image of this shape and name as COCO's JSON: run lengths with scores."""
    height, width = shape
    drawn = (outlines.whole(index, shape) for index in range(len(outlines)))
    particles = (
        coco_particle(mask, (height, width), corner) | {"score": round(score, 4)}
        for (mask, corner), score in zip(drawn, outlines.scores.tolist(), strict=True)
        if mask.size
    )
    write_coco(path, [(image, (height, width), particles)])
