"""The page: what a visitor sees of a workbench, and what each click does to it. Panel draws it in the browser."""

import asyncio
import hashlib
import io
import re
import shutil
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import panel as pn

from nanolab.core.checks import InputError
from nanolab.core.words import count_words, seconds_words
from nanolab.dashboard.controls import Controls, Download
from nanolab.dashboard.drawings import Limits, size_limits
from nanolab.dashboard.edits import Edit
from nanolab.dashboard.html import (
    failure_list,
    hint,
    left_out_words,
    message,
    scale_words,
    shape_words,
    shown_nm,
    statistics_html,
    taught_html,
    trust_words,
)
from nanolab.dashboard.learning import Learning, corrected_images, write_data_set
from nanolab.dashboard.saved_work import parse_work
from nanolab.dashboard.session import Models, Progress, VisitorFolder
from nanolab.dashboard.tools import REDO_KEYS, TOOLS, UNDO_KEYS, Stroke, edit_of
from nanolab.dashboard.workbench import Sizes, Workbench, WorkbenchImage, safe_name
from nanolab.images.pixel_size import parse_nm

__all__ = ["MOST_UPLOAD_MB", "Page"]

#: Largest file that is taken, in MB.
MOST_UPLOAD_MB = 200

_TELL_S = 0.5  # between two words on progress
_TELLS_LITTLE = 0.05  # of the work that is done, on what is left

_ASK_S = 0.5  # between two looks at how far learning is
_TAUGHT = "taught"  # in the names of networks that have learned here
_SOON_S = 0.25  # after a correction, so that it is seen first


@dataclass(frozen=True)
class _Proposed:
    """A network that has learned, not yet kept or discarded, and what it finds in images that are not corrected."""

    name: str
    file: Path
    models: Models
    images: list[WorkbenchImage]


class Page:
    """The dashboard of one visitor.

    Parameters
    ----------
    models
        The networks to choose from.
    bench
        What the visitor has; a new, empty one if not given.
    upload_mb
        Largest file that is taken.

    Attributes
    ----------
    view
        What Panel serves.
    bench
        The state behind the page.
    ui
        What there is on the page.
    """

    def __init__(self, models: Models, bench: Workbench | None = None, *, upload_mb: float = MOST_UPLOAD_MB) -> None:
        self.bench = Workbench() if bench is None else bench
        self._own = bench is None  # that of a notebook lives on there
        self._models, self._upload_mb = models, upload_mb
        self._folder = VisitorFolder()
        self._pending: int | None = None  # the first of two particles to be merged
        self._waiting: list[tuple[str, bytes]] = []
        self._working = self._cancelled = False
        self._document = pn.state.curdoc
        self._sizes: Sizes | None = None
        self._acts: deque[Callable[[], object]] = deque()
        self._settling = False
        self._taught: Path | None = None  # the file of the last network that was taught here and kept
        self._proposed: _Proposed | None = None
        self._shown: str | None = None  # the image whose picture is there
        self._turn = 0
        self.ui = Controls(
            models.names,
            self.bench,
            upload_mb=upload_mb,
            on_tap=self._tapped,
            on_stroke=self._stroked,
            download=self._download,
        )
        self._listen()
        self._change_mode()
        self.view = self.ui.layout()
        self._refresh_images()

    def close(self) -> None:
        """Stop what is at work and delete what the visitor had, on disk and in memory."""
        self._cancel()
        self._folder.remove()
        if self._own:
            self.bench.clear()
            self.ui.overlay.show_image(None)
        self.ui.dropper.forget()

    # what happens when

    def _listen(self) -> None:
        self.ui.dropper.param.watch(self._dropped, "value")
        self.ui.images.param.watch(lambda event: self._show(), "value")
        self.ui.first.param.watch(lambda event: self._refresh_images(), "value")
        for choice in (self.ui.model, self.ui.cutting, self.ui.quick):
            choice.param.watch(lambda event: self._show_controls(), "value")
        self.ui.pixel_size.param.watch(lambda event: self._type_pixel_size(), "value")
        for widget, name in (
            (self.ui.quantity, "quantity"),
            (self.ui.fit, "fit_name"),
            (self.ui.border, "border"),
            (self.ui.where, "where"),
        ):
            widget.param.watch(lambda event, name=name: self._choose(name, event.new), "value")
        self.ui.weighting.param.watch(lambda event: self._show_distribution(), "value")
        self.ui.mode.param.watch(lambda event: self._change_mode(), "value")
        self.ui.again.on_click(self._find_again)
        self.ui.learn.on_click(self._learn)
        self.ui.keep.on_click(lambda event: self._decide(keep=True))
        self.ui.discard.on_click(lambda event: self._decide(keep=False))
        self.ui.cancel.on_click(lambda event: self._cancel())
        self.ui.remove.on_click(lambda event: self._remove_image())
        self.ui.for_all.on_click(lambda event: self._type_pixel_size(everywhere=True))
        self.ui.brush.param.watch(lambda event: self._change_mode(), "value")
        self.ui.key.param.watch(lambda event: self._pressed(event.new.split(" ")[0]), "value")
        self.ui.whole.on_click(lambda event: self._changed(self._look_at_all))
        self.ui.undo.on_click(lambda event: self._changed(self.bench.undo))
        self.ui.redo.on_click(lambda event: self._changed(self.bench.redo))
        self.ui.restore.on_click(lambda event: self._changed(lambda: self.bench.restore(self._current)))
        self.ui.drop.on_click(lambda event: self._changed(self._drop_typed))
        self.ui.merge.on_click(lambda event: self._changed(self._merge_typed))

    @property
    def _current(self) -> str:
        if self.ui.images.value is None:
            raise InputError("no image yet; drop one at the left")
        return str(self.ui.images.value)

    @property
    def _image(self) -> WorkbenchImage | None:
        return self.bench.images.get(self.ui.images.value)

    async def _dropped(self, event: Any) -> None:  # noqa: ARG002  # Panel passes it
        files, refused = dict(self.ui.dropper.value), list(self.ui.dropper.refused)
        if refused:
            self.ui.dropper.refused.clear()
            self.bench.failures |= dict.fromkeys(refused, f"larger than {self._upload_mb:g} MB; crop or bin it")
            self._later(self._show_failures)
        if files:
            self._later(lambda: self.ui.dropper.param.update(value={}))
            await self.take(files)

    async def take(self, files: dict[str, bytes]) -> None:
        """Add files as they came from the browser, by their names there, one after the other; saved sessions first."""
        self._waiting += sorted(files.items(), key=lambda each: not each[0].lower().endswith(".json"))
        if self._working:  # what is at work takes these as well
            return
        self._working, self._cancelled, done, ready = True, False, 0, ""
        try:
            while self._waiting:
                given, content = self._waiting.pop(0)
                if given.lower().endswith(".json"):
                    ready = self._open_work(content, given)
                    continue
                name = await self._add(given, content, self._progress(done, done + 1 + len(self._waiting), given))
                if not done or not self._waiting:  # of many, the first at once, and all at the end
                    self._later(partial(self._refresh_images, name))
                done += 1
        finally:
            self._working = False
        self._tell_ready(ready)

    def _open_work(self, content: bytes, given: str) -> str:
        """Open what was saved and return what the visitor is to do next."""
        try:
            missing = self.bench.open_work(parse_work(content, given))
        except InputError as error:
            self.bench.failures[safe_name(given, [*self.bench.images, *self.bench.failures])] = str(error)
            missing = []
        self._later(self._show_choices)
        self._later(self._refresh_images)
        return f" Now drop the images of the session: {', '.join(missing)}." if missing else ""

    async def _find_again(self, event: Any) -> None:  # noqa: ARG002  # Panel passes it
        if self._working:
            return
        self._working, self._cancelled, way, names = True, False, self.ui.way, list(self.bench.images)
        try:
            for done, name in enumerate(names):
                model, dynamic, quick = self.ui.options(way)
                progress = self._progress(done, len(names), name)
                finder = await asyncio.to_thread(self._models.get, model, dynamic, quick=quick, progress=progress)
                await asyncio.to_thread(self.bench.find_again, name, finder, model=way)
            self._tell_ready()
        except InputError as error:
            self._hide_progress()
            self._say(str(error), wrong=True)
        finally:
            self._working = False
            self._later(self._refresh_images)

    async def _learn(self, event: Any) -> None:  # noqa: ARG002  # Panel passes it
        if self._working:
            return
        self._working, self._cancelled = True, False
        try:
            proposed = await self._propose()
        except InputError as error:
            self._hide_progress()
            self._say(str(error), wrong=True)
        else:
            self._tell_ready(" See what the new network finds, and keep or discard it.")
            self._later(partial(self._show_proposed, proposed))
        finally:
            self._working = False

    async def _propose(self) -> _Proposed:
        """Return what the network in use becomes that has learned from the corrections of this visitor."""
        model, dynamic, quick = self.ui.options(self.ui.way)
        corrected = corrected_images(self.bench.images.values())
        number = sum(1 for name in self._models.names if _TAUGHT in name) + 1
        folder = self._folder.new()
        data = await asyncio.to_thread(write_data_set, corrected, folder / "corrected")
        learning = Learning(data, self._models.path(model), folder / "training")
        tell = self._progress(0, 1, f"learning from {count_words(len(corrected), 'image')}")
        while learning.running:
            try:
                tell(learning.done)
            except InputError:  # cancelled: what has been learned by then is offered
                await asyncio.to_thread(learning.stop)
            await asyncio.sleep(_ASK_S)
        file, self._cancelled = learning.network(), False
        name = f"{model}, {_TAUGHT} {number}"
        models = self._models.taught(name, file, model)
        others = [each for _, each in self._by_trust() if not each.edits]
        images = []
        for done, each in enumerate(others):
            finder = await asyncio.to_thread(
                models.get, name, dynamic, quick=quick, progress=self._progress(done, len(others), each.name)
            )
            images.append(await asyncio.to_thread(self.bench.tried, each.name, finder, model=name))
        return _Proposed(name, file, models, images)

    def _show_proposed(self, proposed: _Proposed) -> None:
        self._proposed = proposed
        pairs = [(self.bench.images[each.name], each) for each in proposed.images if each.name in self.bench.images]
        self.ui.taught.object = taught_html(proposed.name, pairs)
        self.ui.taught.visible = self.ui.decide.visible = True
        self._show_controls()

    def _decide(self, *, keep: bool) -> None:
        proposed, self._proposed = self._proposed, None
        self.ui.taught.visible = self.ui.decide.visible = False
        if proposed is None or not keep:
            self._say("The new network is discarded.")
            self._show_controls()
            return
        for each in proposed.images:
            if each.name in self.bench.images and not self.bench.images[each.name].edits:
                self.bench.put(each)
        self._models, self._taught = proposed.models, proposed.file
        self.ui.model.param.update(options=self._models.names, value=proposed.name)
        self._say(f"{proposed.name} is in use; it can be downloaded as a file.")
        self._refresh_images(proposed.images[0].name if proposed.images else None)

    def _cancel(self) -> None:
        self._cancelled = True
        self._waiting.clear()

    def _progress(self, done: int, of: int, name: str) -> Progress:
        """Return what tells how far an image is, from whatever thread, and ends the work once it was cancelled."""
        began, told = monotonic(), 0.0

        def tell(part: float) -> None:
            nonlocal told
            if self._cancelled:
                raise InputError("cancelled before its particles were found")
            passed = monotonic() - began
            if part and passed < told + _TELL_S:
                return
            told = passed
            left = f", about {seconds_words(passed / part - passed)} left" if part > _TELLS_LITTLE else ""
            self._show_progress((done + part) / of, f"{done + 1} of {of}: {name}, {part:.0%}{left} …")

        tell(0.0)
        return tell

    def _show_progress(self, part: float, text: str) -> None:
        value = max(2, round(100 * part))
        self._later(lambda: self.ui.progress.param.update(visible=True, value=value))
        self._later(lambda: self.ui.cancel.param.update(visible=True))
        self._say(text)

    def _hide_progress(self) -> None:
        for shown in (self.ui.progress, self.ui.cancel):
            self._later(partial(shown.param.update, visible=False))

    def _tell_ready(self, more: str = "") -> None:
        self._hide_progress()
        failed = len(self.bench.failures)
        unusable = f", {failed} not usable" if failed else ""
        self._say(f"Ready: {count_words(len(self.bench.images), 'image')}{unusable}.{more}")

    def _later(self, act: Callable[[], object]) -> None:
        """Change what is shown at the next turn, when the document's lock is held: nothing may change without it."""
        self._acts.append(act)
        if self._document is None:
            self._catch_up()
        else:  # Bokeh's callbacks hold on to what they are given until a full collection: nothing large here
            self._document.add_next_tick_callback(self._catch_up)

    def _soon(self, act: Callable[[], object]) -> None:
        """Do it a little later, once, whatever comes in between."""
        if self._document is None:
            act()
            return
        self._turn += 1
        turn = self._turn
        self._document.add_timeout_callback(lambda: act() if turn == self._turn else None, int(1000 * _SOON_S))

    def _catch_up(self) -> None:
        while self._acts:
            self._acts.popleft()()

    async def _add(self, given: str, content: bytes, progress: Progress) -> str | None:
        saved = self.bench.saved_image(hashlib.sha256(content).hexdigest())
        way = saved.model if saved is not None and saved.model in self.ui.ways else self.ui.way
        model, dynamic, quick = self.ui.options(way)
        scale_bars = self.ui.scale_bars.value

        def add() -> str | None:
            path = self._folder.keep(content, given)
            try:
                finder = self._models.get(model, dynamic, quick=quick, progress=progress)
                return self.bench.add(path, given, finder, model=way, find_scale_bar=scale_bars)
            except InputError as error:  # of the model: `add` itself tells what is wrong with a file
                self.bench.failures[safe_name(given, [*self.bench.images, *self.bench.failures])] = str(error)
                return None
            finally:
                path.unlink(missing_ok=True)  # with the folder, of a visitor who left

        return await asyncio.to_thread(add)

    def _download(self, file: Download) -> Callable[[], Awaitable[io.BytesIO | None]]:
        async def write() -> io.BytesIO | None:
            try:
                path = await asyncio.to_thread(self._written, file)
            except InputError as error:
                self._say(str(error), wrong=True)
                raise
            if file == "session.json":
                self._later(lambda: self.ui.unsaved.param.update(value=False))
            return io.BytesIO(path.read_bytes())

        return write

    def _written(self, file: Download) -> Path:
        if file == "network.safetensors":
            if self._taught is None:
                raise InputError("no network was taught here")
            return self._taught
        if file == "corrected.zip":
            data = write_data_set(corrected_images(self.bench.images.values()), self._folder.path / "corrected")
            return Path(shutil.make_archive(str(data), "zip", data))
        return self.bench.write_file(file, self._folder.path)

    def _tapped(self, labels: list[int]) -> None:
        if not labels:
            return
        mode, label = self.ui.mode.value, labels[-1]
        if mode == "drop":
            self._changed(lambda: self.bench.drop(self._current, labels))
        elif mode == "merge" and self._pending is not None and self._pending != label:
            first, self._pending = self._pending, None
            self._changed(lambda: self.bench.merge(self._current, first, label))
        elif mode == "merge":
            self._pending = label
            self._say(f"Particle {label}: now click the one it belongs to.")
        else:
            self.ui.numbers.value = ", ".join(map(str, labels))
            self._say(self._described(label))

    def _described(self, label: int) -> str:
        table = self.bench.images[self._current].particles
        row = table[table["label"] == label].iloc[0]
        unit = "nm" if "ecd_nm" in table else "px"
        return (
            f"Particle {label}: ECD {row[f'ecd_{unit}']:.4g} {unit}, Feret {row[f'feret_max_{unit}']:.4g} / "
            f"{row[f'feret_min_{unit}']:.4g} {unit}, aspect ratio {shape_words(row['aspect_ratio'])}, "
            f"circularity {shape_words(row['circularity'])}" + (", cut by the border" if row["touches_border"] else "")
        )

    def _stroked(self, stroke: Stroke) -> None:
        tool = self.ui.mode.value
        if TOOLS[tool].draws:
            self._changed(lambda: self.bench.correct(self._current, edit_of(tool, stroke, self.ui.brush.value)))

    def _look_at_all(self) -> None:
        self.bench.correct(self._current, Edit("look"))

    def _pressed(self, key: str) -> None:
        if key in UNDO_KEYS and self.bench.can_undo:
            self._changed(self.bench.undo)
        elif key in REDO_KEYS and self.bench.can_redo:
            self._changed(self.bench.redo)
        else:
            self.ui.mode.value = next((name for name, tool in TOOLS.items() if tool.key == key), self.ui.mode.value)

    def _typed_numbers(self) -> list[int]:
        numbers = [int(each) for each in re.findall(r"\d+", self.ui.numbers.value_input or self.ui.numbers.value or "")]
        if not numbers:
            raise InputError("no particle; type numbers, or click a particle")
        return numbers

    def _drop_typed(self) -> None:
        self.bench.drop(self._current, self._typed_numbers())

    def _merge_typed(self) -> None:
        numbers = self._typed_numbers()
        if len(numbers) != 2:
            raise InputError(f"merge needs the numbers of two particles, got {len(numbers)}")
        self.bench.merge(self._current, *numbers)

    def _changed(self, act: Callable[[], object]) -> None:
        """Change something, say why where that is impossible, and show what follows."""
        before = {name: len(each.particles) for name, each in self.bench.images.items()}
        try:
            where = act()
        except InputError as error:
            self._say(str(error), wrong=True)
            self._show_particles()
            return
        self.ui.numbers.value = ""
        after = {name: len(each.particles) for name, each in self.bench.images.items()}
        changes = [f"{name}: {before[name]} → {count_words(after[name], 'particle')}" for name in after
                   if before[name] != after[name]]  # fmt: skip
        self._say("; ".join(changes) or "Done.")
        self._refresh_images(where if isinstance(where, str) else None)

    def _choose(self, name: str, value: str) -> None:
        setattr(self.bench, name, value)
        self._show_particles()
        self._show_sizes()

    def _change_mode(self) -> None:
        self._pending = None
        tool = TOOLS[self.ui.mode.value]
        self.ui.brush.visible, self.ui.whole.visible = tool.brush, self.ui.mode.value == "look"
        # at once, and the hint last: who reads it can begin; what widgets call holds the document's lock
        self.ui.overlay.select([])
        self.ui.overlay.take(draws=tool.draws, brush_px=self.ui.brush.value if tool.brush else 0)
        self.ui.hint.object = hint(f"{tool.hint} Key: {tool.key}.")

    def _type_pixel_size(self, *, everywhere: bool = False) -> None:
        text = self.ui.pixel_size.value
        if self._settling or not text or self.ui.images.value is None:
            return
        try:
            nm = self.bench.pixel_size(self._current).nm
            # the field shows six digits; the number behind them stays as long as nobody types another one
            typed = nm if nm is not None and text == shown_nm(nm) else parse_nm(text)
            self.bench.set_pixel_size(typed, None if everywhere else [self._current])
        except InputError as error:
            self._say(str(error), wrong=True)
            return
        self._say("")
        self._refresh_images()

    def _remove_image(self) -> None:
        name = self._current
        self.bench.remove(name)
        self._say(f"{name} is removed.")
        self._refresh_images()

    # what is shown

    def _say(self, text: str, *, wrong: bool = False) -> None:
        self._later(lambda: self.ui.message.param.update(object=message(text, wrong=wrong)))

    def _refresh_images(self, wanted: str | None = None) -> None:
        """Show the list of images, one of them (that wanted, that shown, or the first), and the sizes of all."""
        names = [wanted, self.ui.images.value, *self.bench.images]
        chosen = next((name for name in names if name in self.bench.images), None)
        options = {_listed(each): name for name, each in self._in_order()}
        self._settling = True
        self.ui.images.param.update(options=options, value=chosen)
        self._settling = False
        self.ui.unsaved.value = self._own and bool(options)
        self._show()

    def _in_order(self) -> list[tuple[str, WorkbenchImage]]:
        """Return the images in the order they came in, or those first that can be believed least."""
        return self._by_trust() if self.ui.first.value else list(self.bench.images.items())

    def _by_trust(self) -> list[tuple[str, WorkbenchImage]]:
        return sorted(self.bench.images.items(), key=lambda item: 1.0 if item[1].trust is None else item[1].trust.image)

    def _show(self) -> None:
        if self._settling:
            return
        self._pending = None
        image = self._image
        if (picture := None if image is None else image.sha256) != self._shown or picture is None:
            self._shown = picture  # otherwise it stays as it is, zoomed in or not
            self._later(lambda: self.ui.overlay.show_image(self._image))
        self._show_particles()
        self._show_controls()
        self._show_failures()
        self._soon(self._show_sizes)

    def _show_choices(self) -> None:
        self.ui.quantity.value, self.ui.fit.value = self.bench.quantity, self.bench.fit_name
        self.ui.border.value, self.ui.where.value = self.bench.border, self.bench.where

    def _show_particles(self) -> None:
        self._later(lambda: self.ui.overlay.show_particles(self._image, self.bench.quantity, self._limits))

    def _show_controls(self) -> None:
        image, there = self._image, self._image is not None
        edited = any(each.edits for each in self.bench.images.values())
        self.ui.images.visible = self.ui.remove.visible = self.ui.images.visible or there
        self.ui.again.visible = any(each.model != self.ui.way for each in self.bench.images.values())
        self.ui.again.label = "Find again this way" + (" (corrections go)" if edited else "")
        self.ui.picture.visible, self.ui.histogram.visible = there and self._proposed is None, there
        self.ui.nothing.visible = not there
        self.ui.undo.disabled, self.ui.redo.disabled = not self.bench.can_undo, not self.bench.can_redo
        self.ui.restore.disabled = image is None or not image.edits
        of_an_image = (self.ui.mode, self.ui.drop, self.ui.merge, self.ui.remove, self.ui.for_all, self.ui.pixel_size)
        for each in (*of_an_image, *self.ui.downloads.values()):
            each.disabled = not there
        self.ui.learn.visible, self.ui.downloads["corrected.zip"].disabled = edited, not edited
        self.ui.downloads["network.safetensors"].visible = self._taught is not None
        self._settling = True
        nm = None if image is None else image.micrograph.pixel_size_nm
        self.ui.pixel_size.value = "" if nm is None else shown_nm(nm)
        self._settling = False
        self.ui.first.visible = any(each.trust for each in self.bench.images.values())
        self.ui.trust.object = "" if image is None or image.trust is None else trust_words(image.trust)
        self.ui.scale.object = (
            "" if image is None else scale_words(image.micrograph.pixel_size) + left_out_words(image.left_out)
        )
        self.ui.listens.value = self.ui.listens.value or there

    def _show_failures(self) -> None:
        self.ui.failures.object = failure_list(self.bench.failures)

    def _show_sizes(self) -> None:
        self._sizes, why = None, "Drop images at the left; sizes appear here."
        if self.bench.images:
            try:
                self._sizes = self.bench.sizes()
            except InputError as error:
                why = str(error)
        self.ui.table.object = hint(why) if self._sizes is None else statistics_html(self._sizes)
        self._show_distribution()

    def _show_distribution(self) -> None:
        self._later(lambda: self.ui.distribution.show(self._sizes, self.ui.weighting.value, self._limits))

    @property
    def _limits(self) -> Limits:
        image = self._image
        return (0.0, 1.0) if image is None else size_limits(image.particles, self.bench.quantity)


def _listed(image: WorkbenchImage) -> str:
    """Return an image's line in the list: its name, number of particles, and trust where it is known."""
    count = len(image.particles)
    return (
        f"{image.name} ({count})" if image.trust is None else f"{image.name} ({count}, trust {image.trust.image:.2f})"
    )
