"""How the scores of test images change while a network is trained."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure
from tqdm.auto import tqdm

from nanolab.core.checks import InputError
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.figures.panels import LINES, make_panels, styled
from nanolab.metrics.pixel import PixelScores, pixel_scores
from nanolab.segmentation.segmenter import Segmenter
from nanolab.training.run import TrainingRun

__all__ = ["PIXEL_SCORES", "plot_iterations", "scores_by_iteration", "smoothed"]

#: The scores of 10.1371/journal.pone.0311228, which all count pixels.
PIXEL_SCORES = ("miou", "accuracy", "kappa", "mdice")

_WEIGHT = 0.6  # the standard setting of TensorBoard and of the paper's VisualDL


def scores_by_iteration(run: TrainingRun, test: Sequence[AnnotatedImage], *, progress: bool = True) -> pd.DataFrame:
    """Score each epoch whose weights are there on test images, which are only watched.

    Returns
    -------
    table
        One row per epoch: iteration (steps so far), and the pooled `PIXEL_SCORES`.

    Raises
    ------
    InputError
        If a test image has no annotation.
    """
    rows = []
    for epoch in tqdm(run.epochs, desc="score", unit="epoch", disable=not progress):
        segmenter = Segmenter(run, epoch)
        scores = PixelScores.pooled([pixel_scores(_labels(each), segmenter.segment(each.image)) for each in test])
        rows.append(
            {"iteration": epoch * run.settings.steps_per_epoch} | {name: getattr(scores, name) for name in PIXEL_SCORES}
        )
    return pd.DataFrame(rows)


def _labels(sample: AnnotatedImage):  # type: ignore[no-untyped-def]
    if sample.labels is None:
        raise InputError(f"{sample.path}: has no annotation to compare with; leave it out")
    return sample.labels


def smoothed(values: "pd.Series[float]", weight: float = _WEIGHT) -> "pd.Series[float]":
    """Return a curve as TensorBoard smooths it: an exponential moving average, without bias at its beginning.

    Examples
    --------
    >>> smoothed(pd.Series([1.0, 1.0, 1.0])).tolist()
    [1.0, 1.0, 1.0]
    """
    return values.ewm(alpha=1 - weight, adjust=True).mean()


_NAMES = {"miou": "MIoU", "accuracy": "accuracy", "kappa": "kappa", "mdice": "Dice, mean of both classes"}


@styled
def plot_iterations(curve: pd.DataFrame) -> Figure:
    """Draw scores against iterations, light as they are and dark smoothed (figure 4 of 10.1371/journal.pone.0311228).

    Parameters
    ----------
    curve
        Of `nanolab.experiments.iterations.scores_by_iteration`.
    """
    figure, panels = make_panels(1, len(PIXEL_SCORES), aspect=0.9)
    for axes, name in zip(panels, PIXEL_SCORES, strict=True):
        axes.plot(curve["iteration"], curve[name], color=LINES[5], lw=1, marker=".", ms=4, label="as it is")
        axes.plot(curve["iteration"], smoothed(curve[name]), color=LINES[0], lw=2, label="smoothed")
        axes.set_title(_NAMES[name])
        axes.set_xlabel("iterations")
    panels[0].legend(loc="lower right")
    return figure
