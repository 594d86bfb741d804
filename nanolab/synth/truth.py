"""What the renderer knows of each particle and a person could not measure: labels and the particle table."""

from typing import cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanolab.synth.passes import Passes
from nanolab.synth.scene import Scene

__all__ = ["ground_truth"]


def ground_truth(scene: Scene, passes: Passes) -> tuple[npt.NDArray[np.int32], pd.DataFrame]:
    """Return the label map of what is visible and the table of all particles that reach into the image.

    Labels are numbered 1..N without gaps, in the scene's order. A particle that others hide completely has the
    label 0. `visible_fraction` is the visible part of the whole outline, also of the part beyond the image's border.
    """
    table = scene.truth()
    visible_px = np.bincount(passes.labels.ravel(), minlength=len(table) + 1)[1:]
    seen = visible_px > 0
    number = np.concatenate([[0], np.where(seen, np.cumsum(seen), 0)]).astype(np.int32)
    table["label"] = number[1:]
    table["visible_area_nm2"] = visible_px * scene.pixel_size_nm**2
    # An outline of few pixels can show a little more area than it has, by the pixels' own size.
    table["visible_fraction"] = np.minimum(table["visible_area_nm2"] / table["projected_area_nm2"], 1.0)
    inside = seen | _reaches_in(table, scene)
    return number[passes.labels], cast(pd.DataFrame, table[inside].reset_index(drop=True))


def _reaches_in(table: pd.DataFrame, scene: Scene) -> npt.NDArray[np.bool_]:
    """True for particles whose centre lies in the image: hidden there, not merely placed beyond the border."""
    height_nm, width_nm = np.array(scene.shape) * scene.pixel_size_nm
    return np.asarray(table["x_nm"].between(0, width_nm) & table["y_nm"].between(0, height_nm))
