"""A training and its test in one call."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nanolab.core.timing import Stopwatch
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.experiments.images import split_by_image
from nanolab.metrics.comparison import Scores, SegmentationComparison, pooled
from nanolab.segmentation.magnification import Magnification
from nanolab.segmentation.scoring import compare_images
from nanolab.segmentation.segmenter import Segmenter
from nanolab.training.leave_one_out import leave_one_out
from nanolab.training.loop import train
from nanolab.training.run import TrainingRun
from nanolab.training.settings import TrainingSettings
from nanolab.training.sources import Source

__all__ = ["Trial", "cross_validate", "mean_scores", "run_trial"]

_IOU = 0.5


@dataclass(frozen=True)
class Trial:
    """A training with what its last epoch makes of the test images.

    Attributes
    ----------
    run
        The training.
    comparisons
        Found against annotated, by the name of the test image.
    seconds
        How long `train` and `test` took.
    """

    run: TrainingRun
    comparisons: dict[str, SegmentationComparison]
    seconds: dict[str, float]

    @property
    def scores(self) -> Scores:
        """Scores of all test images pooled, named as in `nanolab.metrics.evaluate.evaluate`."""
        return pooled(self.comparisons.values()).scores(_IOU)

    @property
    def by_image(self) -> pd.DataFrame:
        """One row per test image, its name in the column `image`."""
        rows = [{"image": name, **each.scores(_IOU)} for name, each in self.comparisons.items()]
        return pd.DataFrame(rows)


def run_trial(
    sources: Sequence[Source],
    test: Sequence[AnnotatedImage],
    folder: Path | str,
    settings: TrainingSettings,
    *,
    min_area_px: int,
    magnification: Magnification = 1.0,
    postprocessing: str | None = None,
    progress: bool = True,
) -> Trial:
    """Train on the sources and test the last epoch; no test image decides anything.

    A training that is there goes on, a finished one stays as it is.

    Parameters
    ----------
    sources
        See `nanolab.training.loop.train`.
    test
        Annotated images, none of which is in the sources.
    folder
        Where the training is kept.
    min_area_px
        Smaller particles, annotated or found, are not counted.
    magnification, postprocessing
        See `nanolab.segmentation.segmenter.Segmenter`.
    """
    clock = Stopwatch()
    with clock("train"):
        run = train(sources, folder, settings, resume=True, progress=progress)
    segmenter = Segmenter(run, run.epochs[-1], magnification=magnification, postprocessing=postprocessing)
    with clock("test"):
        comparisons = compare_images(segmenter, test, min_area_px=min_area_px, iou=_IOU, progress=progress)
    return Trial(run, comparisons, clock.seconds)


def cross_validate(
    samples: Sequence[AnnotatedImage],
    folds: int | None,
    folder: Path | str,
    settings: TrainingSettings,
    *,
    min_area_px: int,
    postprocessing: str | None = None,
    progress: bool = True,
) -> list[Trial]:
    """Train on all images but those of a fold and test on these, once for each fold.

    Parameters
    ----------
    samples
        Annotated images.
    folds
        See `nanolab.experiments.images.split_by_image`. None for as many as there are images: then each training is
        that of `nanolab.training.leave_one_out.leave_one_out`, which chooses its epoch on another image than the one it
        is tested on; otherwise the last epoch is tested.
    folder
        Where the trainings are kept.
    min_area_px, postprocessing
        See `run_trial`.
    """
    if folds is None:
        clock = Stopwatch()
        with clock("train"):
            runs = leave_one_out(samples, folder, settings, progress=progress)
        return [
            Trial(
                run,
                compare_images(
                    Segmenter(run, postprocessing=postprocessing),
                    samples[at : at + 1],
                    min_area_px=min_area_px,
                    iou=_IOU,
                    progress=progress,
                ),
                clock.seconds,
            )
            for at, run in enumerate(runs)
        ]
    splits = [split_by_image(samples, fold, folds) for fold in range(folds)]
    return [
        run_trial(
            [Source(split.train, name="real")],
            split.test,
            Path(folder) / f"{fold:02d}",
            settings,
            min_area_px=min_area_px,
            postprocessing=postprocessing,
            progress=progress,
        )
        for fold, split in enumerate(splits)
    ]


def mean_scores(table: pd.DataFrame) -> dict[str, float]:
    """Return the mean over images of each score of `Trial.by_image`, images where it is undefined left out."""
    numbers = table.drop(columns="image").apply(pd.to_numeric)
    return {str(name): float(value) for name, value in numbers.mean().items()}
