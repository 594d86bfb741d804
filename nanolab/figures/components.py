"""Micrographs with what was found in them, from the mask to the sizes: figures 5 and S21 to S29 of Mill et al. 2021."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nanolab.core.checks import InputError
from nanolab.core.typing import AnyLabelMap, FloatArray
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.figures.panels import LINES, draw_micrograph, make_panels, styled
from nanolab.measurement.statistics import bin_edges

__all__ = ["plot_components"]


@styled
def plot_components(
    samples: Sequence[AnnotatedImage], labels: Sequence[AnyLabelMap], *, titles: Sequence[str] | None = None
) -> Figure:
    """Show in a column for each image: micrograph, segmentation, its components in colours, and their sizes.

    A size is the square root of the area, in nm, or in px if the scale is unknown. The bins are common to all columns
    of a unit; N counts the particles.

    Parameters
    ----------
    samples
        The images; one several times to set segmentations of it next to each other.
    labels
        A label map for each, shape (height, width), 0 = background.
    titles
        One for each column; the names of the images if None.

    References
    ----------
    Mill et al. 2021, 10.1002/smtd.202100223, figure 5.
    """
    if not samples or len(samples) != len(labels):
        raise InputError(f"components: need a label map for each image, got {len(samples)} and {len(labels)}")
    figure, panels = make_panels(4, len(samples), aspect=1)
    pairs = list(zip(samples, labels, strict=True))
    sizes = [_root_areas(found) * (sample.pixel_size.nm or 1) for sample, found in pairs]
    units = ["px" if sample.pixel_size.nm is None else "nm" for sample in samples]
    for at, (sample, found) in enumerate(pairs):
        image, nm = sample.image, sample.pixel_size.nm
        micrograph, mask, components, histogram = panels[at :: len(samples)]
        draw_micrograph(micrograph, image, None, nm, titles[at] if titles else sample.name)
        draw_micrograph(mask, (found > 0).astype(np.float32), None, nm, "segmentation")
        draw_micrograph(components, image, found, nm, "components")
        together = [values for values, unit in zip(sizes, units, strict=True) if unit == units[at] and len(values)]
        _draw_sizes(histogram, sizes[at], np.concatenate(together) if together else np.zeros(0), units[at])
    return figure


def _root_areas(labels: AnyLabelMap) -> FloatArray:
    areas = np.bincount(labels.ravel())[1:]
    return np.sqrt(areas[areas > 0])


def _draw_sizes(axes: Axes, sizes: FloatArray, together: FloatArray, unit: str) -> None:
    if len(together):
        counts, edges = np.histogram(sizes, bin_edges(together))
        axes.stairs(counts, edges, fill=True, color=LINES[0], alpha=0.6)
    axes.set(xlabel=f"square root of the area / {unit}", ylabel="particles", title=f"N = {len(sizes)}")
