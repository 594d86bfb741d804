"""Choosing epochs by looking: step through what each finds in one image, side by side, and pick the best."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from nanolab.core.checks import InputError, check_same_shape
from nanolab.core.extras import optional
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.figures.images import plot_images
from nanolab.figures.panels import png
from nanolab.selection.choosing import MOST_PICKS
from nanolab.selection.predictions import Prediction
from nanolab.selection.study import Study
from nanolab.training.run import TrainingRun
from nanolab.training.selection import BY_EYE, read_selection, select, unselect
from nanolab.widgets.still import StillWidget

with optional():
    import traitlets

__all__ = ["EpochSelector", "epoch_selector", "study_selector"]

_LONGEST_PX = 1400  # longer images are shown smaller: 20 epochs of this size are some 10 MB
_LARGEST_LABEL = 2**16 - 1
_STATIC, _STATIC_PX = 4, 700  # epochs in the picture that stands where no widget runs, and their longest side
_FAST = 1  # level of compression
_SENT_AT_ONCE = 40  # epochs; of more, each is sent when it is looked at

# one script, because a widget's script cannot import another file
_SCRIPT = "\n".join(
    Path(__file__).with_name(name).read_text(encoding="utf-8") for name in ("epoch_frames.js", "epochs.js")
)


class Choice(Protocol):
    """Where picks come from and go to.

    Attributes
    ----------
    order
        Epochs in the order in which they are shown.
    epochs, notes
        What was picked and noted so far.
    """

    order: list[int]
    epochs: list[int]
    notes: dict[int, str]

    def save(self, epochs: list[int], notes: dict[int, str]) -> str:
        """Keep picks and notes, and return what to tell the person."""
        ...


class _OfRun:
    """The choice in selection.json; one that was not made by eye stays in force until the first pick."""

    def __init__(self, run: TrainingRun, order: Sequence[int]) -> None:
        self._run = run
        self.order = list(order)
        kept = read_selection(run)
        by_eye = kept is not None and kept.how == BY_EYE
        self.epochs = [epoch for epoch in kept.epochs if epoch in self.order] if kept and by_eye else []
        self.notes = dict(kept.notes) if kept else {}

    def save(self, epochs: list[int], notes: dict[int, str]) -> str:
        before = read_selection(self._run)
        if epochs:
            select(self._run, epochs, BY_EYE, notes=notes)
        elif before and before.epochs and before.how != BY_EYE:  # only a note was written
            select(self._run, before.epochs, before.how, notes=notes)
        else:
            unselect(self._run, notes=notes)
        return f"Saved to {self._run.folder / 'selection.json'}"


class _OfParticipant:
    """A participant's answer in the folder of a study."""

    def __init__(self, study: Study, participant: str, role: str, order: Sequence[int]) -> None:
        self._study, self._answer = study, study.answer(participant, role)
        self.order = [epoch for epoch in self._answer.order if epoch in order]
        self.epochs, self.notes = list(self._answer.epochs), dict(self._answer.notes)

    def save(self, epochs: list[int], notes: dict[int, str]) -> str:
        self._answer = replace(self._answer, epochs=epochs, notes=notes)
        return f"Saved: {self._study.save(self._answer).name}"


class EpochSelector(StillWidget):
    """Shows what epochs find in one image; picks and notes are saved at once, and found again when it is made anew.

    A few epochs are sent to the browser once, so that stepping through them needs no kernel; of many, each is read and
    sent when it is looked at. Where no widget can run, a static figure stands in its place. It is made by
    `epoch_selector` and `study_selector`.

    Attributes
    ----------
    picks
        Positions, from 0, of the picked epochs in the order of `names`, best first; may be set from Python as well.
    notes
        A note by position, the position as text.
    message
        What the person was last told: where the picks were saved, or why not.
    """

    _esm = _SCRIPT
    _css = Path(__file__).with_name("epochs.css")
    shape: traitlets.List[Any] = traitlets.List(traitlets.Int()).tag(sync=True)
    image = traitlets.Bytes().tag(sync=True)
    truth = traitlets.Bytes().tag(sync=True)
    frames: traitlets.List[Any] = traitlets.List(traitlets.Bytes()).tag(sync=True)
    names: traitlets.List[Any] = traitlets.List(traitlets.Unicode()).tag(sync=True)
    threshold = traitlets.Int().tag(sync=True)
    pixel_size_nm = traitlets.Float().tag(sync=True)
    blind = traitlets.Bool().tag(sync=True)
    most = traitlets.Int(MOST_PICKS).tag(sync=True)
    picks: traitlets.List[Any] = traitlets.List(traitlets.Int()).tag(sync=True)
    notes = traitlets.Dict().tag(sync=True)
    message = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        predictions: Mapping[int, Prediction],
        sample: AnnotatedImage,
        choice: Choice,
        *,
        threshold: float = 0.5,
        blind: bool = False,
    ) -> None:
        self._choice = choice
        self._predictions = predictions
        position = {epoch: at for at, epoch in enumerate(choice.order)}
        first = predictions[choice.order[0]].labels
        check_same_shape(sample.image, first, f"{sample.name} and validation image")
        self._scale = scale = min(1.0, _LONGEST_PX / max(first.shape))
        truth = None if blind else sample.labels
        names = [f"candidate {at + 1}" if blind else f"epoch {epoch}" for epoch, at in position.items()]
        super().__init__(
            shape=list(_smaller(sample.image, scale).shape),
            image=zlib.compress(np.rint(np.clip(_smaller(sample.image, scale), 0, 1) * 255).astype(np.uint8).tobytes()),
            truth=b"" if truth is None else zlib.compress(_two_planes(_smaller(truth, scale))),
            frames=[_packed(predictions[epoch], scale) for epoch in choice.order if len(position) <= _SENT_AT_ONCE],
            names=names,
            threshold=round(threshold * 255),
            pixel_size_nm=(sample.pixel_size.nm or 0) / scale,
            blind=blind,
            picks=[position[epoch] for epoch in choice.epochs if epoch in position],
            notes={str(position[epoch]): note for epoch, note in choice.notes.items() if epoch in position},
        )
        self.still = png(self._figure(predictions, sample), dpi=90)
        self.observe(self._save, names=["picks", "notes"])
        self.on_msg(self._send_frame)

    @property
    def picked_epochs(self) -> list[int]:
        """The picked epochs, best first."""
        return [self._choice.order[at] for at in self.picks]

    @traitlets.validate("picks")
    def _possible(self, proposal: Any) -> list[int]:
        picks = list(proposal["value"])
        possible = len(set(picks)) == len(picks) <= self.most and all(0 <= at < len(self._choice.order) for at in picks)
        if not possible:
            raise traitlets.TraitError(f"picks must be at most {self.most} different positions, got {picks}")
        return picks

    def _send_frame(self, widget: Any, content: Any, buffers: Any) -> None:  # noqa: ARG002  # ipywidgets passes them
        """Send the epoch at a position that the browser asks for."""
        at = content.get("frame") if isinstance(content, dict) else None
        if isinstance(at, int) and 0 <= at < len(self._choice.order):
            self.send({"frame": at}, [_packed(self._predictions[self._choice.order[at]], self._scale)])

    def _save(self, change: Any) -> None:  # noqa: ARG002  # traitlets passes it
        notes = {self._choice.order[int(at)]: str(note) for at, note in self.notes.items()}
        try:
            self.message = self._choice.save(self.picked_epochs, notes)
        except InputError as error:
            self.message = f"NOT SAVED: {error}"

    def _figure(self, predictions: Mapping[int, Prediction], sample: AnnotatedImage) -> Figure:
        order, spread = self._choice.order, np.linspace(0, len(self.names) - 1, min(_STATIC, len(self.names)))
        shown = self.picks[:_STATIC] or sorted({int(at) for at in spread})
        scale = min(1.0, _STATIC_PX / max(sample.image.shape))
        return plot_images(
            [_smaller(sample.image, scale)] * len(shown),
            titles=[f"{self.names[at]}{', picked' if at in self.picks else ''}" for at in shown],
            labels=[_smaller(predictions[order[at]].labels, scale) for at in shown],
            pixel_size_nm=sample.pixel_size.nm and sample.pixel_size.nm / scale,
        )


def epoch_selector(run: TrainingRun, predictions: Mapping[int, Prediction], sample: AnnotatedImage) -> EpochSelector:
    """Return the widget that chooses the epochs of a training by eye and keeps them in its selection.json.

    Parameters
    ----------
    predictions
        As `nanolab.selection.predictions.validation_predictions` returns them; those whose weights are there are shown.
    sample
        The validation image; if it is annotated, the annotation can be shown.

    Raises
    ------
    InputError
        If the image is not of the size of the predictions.
    """
    choice = _OfRun(run, sorted(set(predictions) & set(run.epochs)))
    return EpochSelector(predictions, sample, choice, threshold=run.readout.threshold)


def study_selector(
    study: Study,
    participant: str,
    role: str,
    predictions: Mapping[int, Prediction],
    sample: AnnotatedImage,
) -> EpochSelector:
    """Return the widget for a participant of a study: epochs in random order, without numbers, without annotation.

    Parameters
    ----------
    participant, role
        Name or number, and one of `nanolab.selection.study.ROLES`.
    predictions, sample
        As in `epoch_selector`.

    Raises
    ------
    InputError
        If name or role cannot be used, or the image is not of the size of the predictions.
    """
    choice = _OfParticipant(study, participant, role, sorted(predictions))
    threshold = study.run.readout.threshold
    return EpochSelector(predictions, sample, choice, threshold=threshold, blind=True)


def _smaller(plane: npt.NDArray[Any], scale: float) -> npt.NDArray[Any]:
    if scale == 1:
        return plane
    height, width = (round(length * scale) for length in plane.shape)
    if np.issubdtype(plane.dtype, np.floating):
        return cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA)
    rows = (np.arange(height) + 0.5) * plane.shape[0] / height
    cols = (np.arange(width) + 0.5) * plane.shape[1] / width
    return plane[np.ix_(rows.astype(int), cols.astype(int))]


def _packed(prediction: Prediction, scale: float) -> bytes:
    """Return foreground, low and high bytes of the labels, one after the other, compressed."""
    planes = _smaller(prediction.foreground, scale).tobytes() + _two_planes(_smaller(prediction.labels, scale))
    return zlib.compress(planes, _FAST)


def _two_planes(labels: npt.NDArray[np.integer]) -> bytes:
    # beyond 65535 particles numbers come again, which only the choice of their colours would show
    small = np.where(labels > 0, (labels - 1) % _LARGEST_LABEL + 1, 0)
    return (small & 255).astype(np.uint8).tobytes() + (small >> 8).astype(np.uint8).tobytes()
