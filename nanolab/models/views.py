"""The eight ways to mirror and turn an image on its pixel grid."""

from dataclasses import dataclass
from itertools import product

from torch import Tensor

__all__ = ["VIEWS", "View"]


@dataclass(frozen=True)
class View:
    """An image as it looks with rows and columns exchanged, then its rows and its columns in reverse order, or not."""

    transposed: bool = False
    rows_reversed: bool = False
    cols_reversed: bool = False

    @property
    def _reversed(self) -> list[int]:
        return [-2] * self.rows_reversed + [-1] * self.cols_reversed

    def apply(self, image: Tensor) -> Tensor:
        """Return an image of shape (..., height, width) in this view."""
        return (image.transpose(-2, -1) if self.transposed else image).flip(self._reversed)

    def undo(self, image: Tensor) -> Tensor:
        """Return an image that `apply` returned as it was before."""
        back = image.flip(self._reversed)
        return back.transpose(-2, -1) if self.transposed else back


#: All eight, the image as it is first.
VIEWS = tuple(View(*chosen) for chosen in product((False, True), repeat=3))
