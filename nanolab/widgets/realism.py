"""The map of patches to look around in: hover or click a point to see its patch, draw a loop to list a cluster."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from nanolab.core.extras import optional
from nanolab.figures.panels import png
from nanolab.figures.realism import COLOURS, MARKERS, plot_realism_map
from nanolab.realism.comparison import RealismComparison
from nanolab.reports.realism import patch_table
from nanolab.widgets.still import StillWidget

with optional():
    import traitlets

__all__ = ["RealismMap", "realism_map"]

_LARGEST_PX = 96  # side of a patch as it is sent to the browser: 3,500 of them are some 10 MB
_JPEG_QUALITY = 85


class RealismMap(StillWidget):
    """A t-SNE map of patches that shows a patch under the mouse and the patches of a cluster.

    Where no widget can run, as in a notebook shown on a web page, the static figure stands in its place.

    Attributes
    ----------
    selected
        Indices of the patches within the loop last drawn; may be set from Python as well.
    """

    _esm = Path(__file__).with_name("realism_map.js")
    _css = Path(__file__).with_name("realism_map.css")
    points: traitlets.List[Any] = traitlets.List().tag(sync=True)
    texts: traitlets.List[str] = traitlets.List().tag(sync=True)
    style = traitlets.Dict().tag(sync=True)
    sheet = traitlets.Bytes().tag(sync=True)
    columns = traitlets.Int().tag(sync=True)
    thumbnail_px = traitlets.Int().tag(sync=True)
    selected = traitlets.List(traitlets.Int()).tag(sync=True)

    def __init__(self, comparison: RealismComparison) -> None:
        self.table = patch_table(comparison)
        pixels = np.concatenate([comparison.real.pixels, comparison.synthetic.pixels])
        side = min(_LARGEST_PX, pixels.shape[1])
        sheet, columns = _contact_sheet(pixels, side)
        super().__init__(
            points=_points(self.table),
            texts=_texts(self.table),
            style={"colours": COLOURS, "markers": {kind: MARKERS[kind] for kind in self.table["kind"].unique()}},
            sheet=sheet,
            columns=columns,
            thumbnail_px=side,
        )
        self.still = png(plot_realism_map(comparison))

    def selection(self) -> pd.DataFrame:
        """Return the rows of the selected patches (see `nanolab.reports.realism.patch_table`)."""
        return self.table.iloc[self.selected]


def realism_map(comparison: RealismComparison) -> RealismMap:
    """Return the map of a comparison as a widget for a notebook's last line."""
    return RealismMap(comparison)


def _points(table: pd.DataFrame) -> list[list[float | str]]:
    return [
        [round(x, 2), round(y, 2), name, kind]
        for x, y, name, kind in zip(table["map_x"], table["map_y"], table["set"], table["kind"], strict=True)
    ]


def _texts(table: pd.DataFrame) -> list[str]:
    return [
        f"{row.set} {row.image}, row {row.row_px}, column {row.column_px}: {row.kind}, "
        f"synthetic to {row.probability_synthetic:.0%}"
        for row in table.itertuples()
    ]


def _contact_sheet(pixels: npt.NDArray[np.float32], side: int) -> tuple[bytes, int]:
    """Return all patches, `side` px each, in one JPEG picture, row by row, and how many are in a row."""
    columns = int(np.ceil(np.sqrt(len(pixels))))
    sheet = np.zeros((-(-len(pixels) // columns) * side, columns * side), dtype=np.uint8)
    for index, patch in enumerate(pixels):
        row, column = side * (index // columns), side * (index % columns)
        small = cv2.resize(patch, (side, side), interpolation=cv2.INTER_AREA)
        sheet[row : row + side, column : column + side] = np.rint(small * 255)
    return cv2.imencode(".jpg", sheet, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes(), columns
