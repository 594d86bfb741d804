"""What the renderer knows of each particle and a person could not measure: labels and the particle table."""

from typing import cast

import numpy as np
import pandas as pd

from nanolab.core.typing import LabelMap, Mask
from nanolab.images.rle import encode_rle
from nanolab.synthesis.projection import silhouette
from nanolab.synthesis.scene.scene import Scene

__all__ = ["ground_truth"]


def ground_truth(
    scene: Scene, seen: LabelMap, pixel_size_nm: float, *, labels: LabelMap | None = None
) -> tuple[LabelMap, pd.DataFrame]:
    """Return the label map of what is visible and the table of all particles that reach into the image.

    LabelMap are numbered 1..N without gaps, in the scene's order. A particle that others hide completely has the
    label 0. `visible_fraction` is the visible part of the whole outline, also of the part beyond the image's border;
    `amodal_rle` is the whole outline within the image, hidden parts too, as COCO's run lengths.

    Parameters
    ----------
    seen
        Which of the scene's particles each pixel of the micrograph shows, shape (height, width); 0 for none.
    pixel_size_nm
        Of `seen`, which may be finer than the scene.
    labels
        The map to return instead, such as one whose particles are eroded; a particle that it lacks has the label 0.
    """
    labels = seen if labels is None else labels
    table = scene.truth()
    visible_px, labelled_px = (np.bincount(one.ravel(), minlength=len(table) + 1)[1:] for one in (seen, labels))
    shown = labelled_px > 0
    number = np.concatenate([[0], np.where(shown, np.cumsum(shown), 0)]).astype(np.int32)
    table["label"] = number[1:]
    visible_nm2 = visible_px * pixel_size_nm**2
    table["visible_area_nm2"] = visible_nm2
    table["visible_ecd_nm"] = np.sqrt(4 / np.pi * visible_nm2)
    # An outline of few pixels can show a little more area than it has, by the pixels' own size.
    table["visible_fraction"] = np.minimum(visible_nm2 / table["projected_area_nm2"], 1.0)
    inside = (visible_px > 0) | _reaches_in(table, scene)
    table = table[inside]
    shape = (seen.shape[0], seen.shape[1])
    outlines = [_outline(scene, particle, shape, pixel_size_nm) for particle in table.index]
    table["amodal_rle"] = pd.Series(outlines, index=table.index, dtype="str")  # text also where there is no particle
    return number[labels], cast(pd.DataFrame, table.reset_index(drop=True))


def _outline(scene: Scene, number: int, shape: tuple[int, int], pixel_size_nm: float) -> str:
    particle = scene.particles[number]
    row, column, mask = silhouette(particle.mesh, particle.centre_nm, shape, pixel_size_nm)
    return encode_rle(mask, shape, (row, column))


def _reaches_in(table: pd.DataFrame, scene: Scene) -> Mask:
    """True for particles whose centre lies in the image: hidden there, not merely placed beyond the border."""
    height_nm, width_nm = np.array(scene.shape) * scene.pixel_size_nm
    return np.asarray(table["x_nm"].between(0, width_nm) & table["y_nm"].between(0, height_nm))
