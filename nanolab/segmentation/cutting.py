"""How readily particles are to be cut apart, settled on annotated images that a network has not learned from."""

from collections.abc import Iterable, Mapping

import pandas as pd

from nanolab.core.checks import InputError
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.images.labels import remove_small
from nanolab.metrics.instance import InstanceScores, match
from nanolab.models.readouts.base import MIN_AREA_PX, find_particles
from nanolab.models.readouts.interior_border import with_dynamic
from nanolab.segmentation.segmenter import Segmenter

__all__ = ["DYNAMICS", "f1_by_dynamic"]

#: Values of the read-out's `dynamic` to choose from.
DYNAMICS = (0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4)

_IOU = 0.5


def f1_by_dynamic(
    segmenter: Segmenter,
    datasets: Mapping[str, Iterable[AnnotatedImage]],
    *,
    dynamics: Iterable[float] = DYNAMICS,
    min_area_px: int = MIN_AREA_PX,
) -> pd.DataFrame:
    """Return how many particles are found right for each value of the read-out's `dynamic`.

    A network that is sure of where particles end tells them apart by any value. One that learned many kinds of sample
    in a short time is not: its depth has dips on long or rough particles, which a higher value passes over, and shallow
    valleys between half hidden ones, which only a lower value cuts. Rendered images of the same recipes and another
    seed tell which value suits it best, without any real annotation.

    Parameters
    ----------
    segmenter
        A network with the read-out `interior+border`.
    datasets
        Annotated samples by the name of their set. None of them should have been learned from.
    dynamics
        The values to try.
    min_area_px
        Annotated particles below it are not looked for.

    Returns
    -------
    scores
        F1 at an IoU of 0.5 over the particles of a set; a row for each set, a column for each value. The mean over sets
        counts them equally, however many particles they have: `scores.mean().idxmax()` is the value to take.

    Raises
    ------
    InputError
        If the network has another read-out, or a sample has no label map.
    """
    readouts = {dynamic: with_dynamic(segmenter.readout, dynamic) for dynamic in dynamics}
    pooled = {}
    for name, samples in datasets.items():
        matched: dict[float, list[InstanceScores]] = {dynamic: [] for dynamic in readouts}
        for sample in samples:
            if sample.labels is None:
                raise InputError(f"{sample.path}: has no label map to compare with; annotate it or leave it out")
            annotated = remove_small(sample.labels, min_area_px)
            probabilities = segmenter.probabilities(sample.image)
            for dynamic, readout in readouts.items():
                found = find_particles(readout, probabilities, min_area_px)
                matched[dynamic].append(match(annotated, found, _IOU))
        pooled[name] = {dynamic: InstanceScores.pooled(each).f1 for dynamic, each in matched.items()}
    return pd.DataFrame.from_dict(pooled, orient="index")
