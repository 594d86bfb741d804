"""A training and its test in one call."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nanolab.core.checks import InputError
from nanolab.core.timing import Stopwatch
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.experiments.images import split_by_image
from nanolab.metrics.comparison import Scores, SegmentationComparison, pooled
from nanolab.segmentation.magnification import Magnification
from nanolab.segmentation.scoring import compare_images
from nanolab.segmentation.segmenter import Segmenter
from nanolab.training.keep import SCORES, Keep
from nanolab.training.leave_one_out import leave_one_out, select_best
from nanolab.training.loop import train
from nanolab.training.run import TrainingRun
from nanolab.training.selection import BY_EYE, read_selection
from nanolab.training.settings import TrainingSettings
from nanolab.training.sources import Source

__all__ = ["Trial", "cross_validate", "mean_scores", "run_trial"]

_IOU = 0.5


@dataclass(frozen=True)
class Trial:
    """A training with what one of its epochs makes of the test images.

    Attributes
    ----------
    run
        The training.
    epoch
        The one that was tested.
    comparisons
        Found against annotated, by the name of the test image.
    seconds
        How long `train` and `test` took.
    """

    run: TrainingRun
    epoch: int
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
    validation: AnnotatedImage | None = None,
    choose_by: str = "",
    found_in: Path | None = None,
    progress: bool = True,
) -> Trial:
    """Train on the sources and test the last epoch, or one that is chosen on another image; no test image decides.

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
    validation
        The image that an epoch is chosen on; it must not be among the tested ones.
    choose_by
        A score of `nanolab.training.keep.SCORES`, whose best epoch is tested; "by eye" for the one that a person picked
        (`notebooks/05_epoch_selection.ipynb`) among those of the training in `folder`; the last epoch if empty.
    found_in
        See `nanolab.segmentation.scoring.compare_images`.

    Raises
    ------
    InputError
        If there is no such way to choose, an epoch is to be chosen without a validation image or on one of the test
        images, or nobody has picked one by eye yet: the training stays, so the same call goes on after that.
    """
    _check_choice(choose_by, validation, test)
    if choose_by in SCORES:
        settings = settings.model_copy(update={"keep": Keep.holding_best(settings.keep, choose_by)})
    clock = Stopwatch()
    with clock("train"):
        run = train(sources, folder, settings, validation=validation, resume=True, progress=progress)
    epoch = _chosen(run, choose_by)
    segmenter = Segmenter(run, epoch, magnification=magnification, postprocessing=postprocessing)
    with clock("test"):
        comparisons = compare_images(
            segmenter, test, min_area_px=min_area_px, iou=_IOU, found_in=found_in, progress=progress
        )
    return Trial(run, epoch, comparisons, clock.seconds)


def _check_choice(choose_by: str, validation: AnnotatedImage | None, test: Sequence[AnnotatedImage]) -> None:
    if not choose_by:
        return
    if choose_by not in (*SCORES, BY_EYE):
        raise InputError(f"choose_by: must be {BY_EYE!r}, empty or one of {', '.join(SCORES)}, got {choose_by!r}")
    if validation is None or validation.name in {image.name for image in test}:
        raise InputError("an epoch must be chosen on an image that is not tested on; give another validation image")


def _chosen(run: TrainingRun, choose_by: str) -> int:
    if not choose_by:
        return run.epochs[-1]
    if choose_by != BY_EYE:
        return select_best(run, choose_by, str(run.validation_name)).selected_epoch
    selection = read_selection(run)
    if selection is None or selection.how != BY_EYE or not selection.epochs:
        raise InputError(
            f"{run.folder}: nobody has picked an epoch by eye yet; pick some with notebooks/05_epoch_selection.ipynb, "
            "`training` set to this folder, and run this again"
        )
    return run.selected_epoch


def cross_validate(
    samples: Sequence[AnnotatedImage],
    folds: int | None,
    folder: Path | str,
    settings: TrainingSettings,
    *,
    min_area_px: int,
    postprocessing: str | None = None,
    found_in: Path | None = None,
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
    min_area_px, postprocessing, found_in
        See `run_trial`.
    """
    if folds is None:
        clock = Stopwatch()
        with clock("train"):
            runs = leave_one_out(samples, folder, settings, progress=progress)
        return [
            Trial(
                run,
                run.selected_epoch,
                compare_images(
                    Segmenter(run, run.selected_epoch, postprocessing=postprocessing),
                    samples[at : at + 1],
                    min_area_px=min_area_px,
                    iou=_IOU,
                    found_in=found_in,
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
            found_in=found_in,
            progress=progress,
        )
        for fold, split in enumerate(splits)
    ]


def mean_scores(table: pd.DataFrame) -> dict[str, float]:
    """Return the mean over images of each score of `Trial.by_image`, images where it is undefined left out."""
    numbers = table.drop(columns="image").apply(pd.to_numeric)
    return {str(name): float(value) for name, value in numbers.mean().items()}
