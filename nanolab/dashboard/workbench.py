"""What one visitor of the dashboard has: images, particles found in them, corrections, and what follows from them."""

import hashlib
import logging
import re
import threading
import zipfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanolab import __version__
from nanolab.core.checks import InputError
from nanolab.core.files import atomic, output_folder, sha256, write_json
from nanolab.core.seeds import generator
from nanolab.core.tables import write_csv
from nanolab.core.typing import LabelMap
from nanolab.core.words import count_words
from nanolab.dashboard.corrected import CorrectedLabels
from nanolab.dashboard.edits import Edit, Window
from nanolab.dashboard.saved_work import SavedImage, SavedWork
from nanolab.images.folders import image_files
from nanolab.images.labels import write_labels
from nanolab.images.lettering import without_lettering
from nanolab.images.micrograph import Micrograph, read
from nanolab.images.pixel_size import PixelSize
from nanolab.images.trust import Trust
from nanolab.measurement.fits import Fit, fit
from nanolab.measurement.remeasuring import remeasure
from nanolab.measurement.size_sample import Border, SampleOptions, SizeSample, size_sample
from nanolab.measurement.statistics import statistics
from nanolab.measurement.summary import MeasuredImage, SizeReport, measure_image, particles_of, summarise_sizes
from nanolab.reports.sizes import write_page, write_tables

__all__ = ["FILES", "File", "Finder", "Found", "Sizes", "Workbench", "WorkbenchImage", "image_files", "safe_name"]

#: What can be downloaded.
File = Literal["particles.csv", "sizes.xlsx", "labels.zip", "report.pdf", "session.json"]
FILES: tuple[File, ...] = get_args(File)

_REPEATS = 199  # bootstrap samples behind the intervals on the page: quick enough to follow each click
_LONGEST_NAME = 60


class Found(Protocol):
    """What was found, such as a `nanolab.segmentation.segmenter.Segmentation`."""

    @property
    def labels(self) -> npt.NDArray[np.int32]:
        """Label map of the shape of the image, 0 = background."""
        ...

    @property
    def trust(self) -> Trust | None:
        """How far it can be believed."""
        ...

    @property
    def unlikely(self) -> int:
        """How many more were left out, hardly particles."""
        ...


class Finder(Protocol):
    """What finds particles, such as a `nanolab.segmentation.segmenter.Segmenter`."""

    def find(self, image: npt.NDArray[np.floating], *, pixel_size_nm: float | None = None) -> Found:
        """Find the particles of an image."""
        ...


def safe_name(given: str, taken: Iterable[str] = ()) -> str:
    """Return a name to show for a file that came with the name `given`, different from those `taken`.

    Folders and suffix are cut off, and what is neither letter, digit, space nor one of `_-.()` becomes `_`, so that it
    is harmless in a page, a table and an archive. Files on disk are not named by it.
    """
    base = re.split(r"[/\\]", given)[-1]
    stem = base.rsplit(".", 1)[0] if "." in base[1:] else base
    name = re.sub(r"[^\w .()-]", "_", stem).strip(" .")[:_LONGEST_NAME].lstrip("-") or "image"
    taken, number, unique = set(taken), 1, name
    while unique in taken:
        number += 1
        unique = f"{name} ({number})"
    return unique


def _digest(found: LabelMap) -> str:
    return hashlib.sha256(np.ascontiguousarray(found).data).hexdigest()


def _found(finder: Finder, micrograph: Micrograph) -> tuple[LabelMap, dict[str, int], Trust | None]:
    """Return the particles of a micrograph, how many more were left out as what, and trust in the others."""
    found = finder.find(micrograph.pixels, pixel_size_nm=micrograph.pixel_size_nm)
    labels, letters = without_lettering(found.labels, micrograph.lettering)
    left_out = {"lettering": letters, "hardly particles": found.unlikely}
    return labels, left_out, None if found.trust is None else found.trust.of_kept(found.labels, labels)


@dataclass(frozen=True, eq=False)
class WorkbenchImage:
    """One micrograph with its particles as found and as corrected.

    Attributes
    ----------
    name
        As shown, see `safe_name`.
    micrograph
        Without data bar.
    corrected
        The particles, shape (height, width) of the micrograph. It is shared with the image as it was before a
        correction, and shows the last state.
    found
        SHA-256 of what the network found.
    bar_rows
        Rows of the file below it: the data bar.
    model
        Name of the network.
    sha256
        Of the file.
    edits
        Corrections in their order.
    left_out
        How many more were found and left out as what.
    trust
        How far what was found can be believed, if known.
    """

    name: str
    micrograph: Micrograph
    corrected: CorrectedLabels
    found: str
    bar_rows: int = 0
    model: str = ""
    sha256: str = ""
    edits: tuple[Edit, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    trust: Trust | None = None

    @property
    def labels(self) -> npt.NDArray[np.int32]:
        """The label map after corrections."""
        return self.corrected.labels

    @property
    def particles(self) -> pd.DataFrame:
        """One row per particle, see `nanolab.measurement.summary.measure_image`."""
        return self.measured.particles

    @cached_property
    def measured(self) -> MeasuredImage:
        """What a report takes; particles that a person has shaped are believed."""
        about = self.micrograph
        return measure_image(
            self.name,
            self.labels,
            pixel_size=about.pixel_size,
            image=about.pixels,
            made_by=self._made_by,
            trust=self._trust,
        )

    @property
    def _made_by(self) -> str:
        return f"{self.model or 'an unnamed model'}, {count_words(len(self.edits), 'correction')}"

    @property
    def _trust(self) -> Trust | None:
        if self.trust is None:
            return None
        shaped, count = self.corrected.shaped, len(self.corrected.boxes) - 1
        known = self.trust.particles + (1.0,) * (count - len(self.trust.particles))
        believed = tuple(1.0 if label in shaped else each for label, each in enumerate(known, start=1))
        return self.trust.model_copy(update={"particles": believed})

    @property
    def saved(self) -> SavedImage:
        """What is kept of it in a file."""
        size = self.micrograph.pixel_size
        return SavedImage(
            name=self.name, sha256=self.sha256, found=self.found, model=self.model, pixel_size=size, edits=self.edits
        )

    def edited(self, edits: tuple[Edit, ...]) -> "WorkbenchImage":
        """Return it with these corrections instead, or raise the InputError that says why they are impossible."""
        windows = self.corrected.change_to(edits)
        changed = replace(self, edits=edits)
        if "measured" in vars(self) and len(windows) == 1:  # quicker than measuring all of it
            vars(changed)["measured"] = changed._measured_from(self.measured, windows[0])
        return changed

    def hold(self) -> None:
        """See to it that later corrections leave what `measured` holds as it is."""
        _ = self.measured
        self.corrected.held = True

    def _measured_from(self, before: MeasuredImage, window: Window) -> MeasuredImage:
        about, boxes = self.micrograph, self.corrected.boxes
        table = remeasure(
            before.particles,
            self.labels,
            boxes,
            window,
            pixel_size=about.pixel_size,
            image=about.pixels,
            name=self.name,
        )
        trust = self._trust
        if trust is not None:
            table["trust"] = np.array(trust.particles, dtype=np.float64)[table["label"] - 1]
        return replace(before, labels=self.labels, particles=table, made_by=self._made_by, trust=trust)


@dataclass(frozen=True, eq=False)
class Sizes:
    """Sizes of all images together.

    Attributes
    ----------
    sample
        The particles that count.
    statistics
        Of `nanolab.measurement.statistics.statistics`.
    fitted
        The chosen distribution; None for "none", or for "auto" where there are too few particles.
    """

    sample: SizeSample
    statistics: dict[str, Any]
    fitted: Fit | None


@dataclass(eq=False)
class Workbench:
    """The images of one visitor, by name, and how they are evaluated.

    Attributes
    ----------
    quantity, fit_name, border
        What counts as size, which distribution is fitted, what becomes of particles cut by the border: of
        `nanolab.dashboard.saved_work` the `QUANTITIES` and `FIT_CHOICES`, and one of
        `nanolab.measurement.size_sample.Border`.
    where
        Condition that particles must fulfil to be counted, see `nanolab.measurement.conditions.fulfilling`.
    failures
        What was wrong with files that could not be used, by their names.

    Examples
    --------
    >>> bench = Workbench()
    >>> bench.add("image.tif", "image.tif", Segmenter("training"))  # doctest: +SKIP
    >>> bench.drop("image", [12])  # doctest: +SKIP
    >>> bench.sizes().statistics["number"]["d50"]  # doctest: +SKIP
    """

    quantity: str = "ecd"
    fit_name: str = "auto"
    border: Border = "correct"
    where: str = ""
    images: dict[str, WorkbenchImage] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    _undo: list[tuple[str, tuple[Edit, ...]]] = field(default_factory=list)
    _redo: list[tuple[str, tuple[Edit, ...]]] = field(default_factory=list)
    _saved: dict[str, SavedImage] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(
        self,
        path: Path | str,
        given: str,
        finder: Finder,
        *,
        model: str = "",
        pixel_size_nm: float | None = None,
        find_scale_bar: bool = False,
    ) -> str | None:
        """Read an image, find its particles and return its name; None where it could not be used, see `failures`.

        Parameters
        ----------
        path
            The file.
        given
            Its name as the visitor knows it.
        finder, model
            What finds the particles, and its name.
        pixel_size_nm, find_scale_bar
            See `nanolab.images.micrograph.read`.
        """
        name = safe_name(given, [*self.images, *self.failures])
        try:
            whole = read(path, pixel_size_nm=pixel_size_nm, find_scale_bar=find_scale_bar)
            micrograph = whole.crop_data_bar()
            found, left_out, trust = _found(finder, micrograph)
        except InputError as error:
            self.failures[name] = str(error).replace(str(path), "this file").removeprefix("this file: ")
        except Exception as error:  # whatever a damaged file brings up must not spoil the others
            logging.getLogger(__name__).exception("%s", name)
            self.failures[name] = f"could not be used ({type(error).__name__}); please report it with the file"
        else:
            bar_rows = len(whole.pixels) - len(micrograph.pixels)
            digest, corrected = _digest(found), CorrectedLabels(found)
            image = WorkbenchImage(
                name, micrograph, corrected, digest, bar_rows, model, sha256(path), (), left_out, trust
            )
            # a new dict: others may be walking through the one that is there
            self.images = {**self.images, name: self._taken_up(image)}
            return name
        return None

    def tried(self, name: str, finder: Finder, *, model: str = "") -> WorkbenchImage:
        """Return an image as another network finds it, without corrections; `put` makes that the image."""
        image = self.images[name]
        found, left_out, trust = _found(finder, image.micrograph)
        digest, corrected = _digest(found), CorrectedLabels(found)
        return replace(image, corrected=corrected, found=digest, left_out=left_out, trust=trust, model=model, edits=())

    def put(self, image: WorkbenchImage) -> None:
        """Put an image in the place of that of its name, which may have been removed meanwhile."""
        if image.name in self.images:
            about = self.images[image.name].micrograph  # its pixel size may have been typed meanwhile
            self.images[image.name] = replace(image, micrograph=about)
            self._forget(image.name)

    def find_again(self, name: str, finder: Finder, *, model: str = "") -> None:
        """Find the particles of an image with another network; its corrections are gone."""
        self.put(self.tried(name, finder, model=model))

    def saved_work(self) -> SavedWork:
        """Return what `open_work` goes on with."""
        return SavedWork(
            nanolab=__version__,
            quantity=self.quantity,
            fit_name=self.fit_name,
            border=self.border,
            where=self.where,
            images=tuple(each.saved for each in self.images.values()),
        )

    def open_work(self, work: SavedWork) -> list[str]:
        """Go on with what was saved and return the names of images that it needs and that are not there yet.

        Images that are there, and those added later, get their typed pixel size and their corrections back.
        """
        self.quantity, self.fit_name, self.border = work.quantity, work.fit_name, work.border
        self.where = work.where
        self._saved |= {each.sha256: each for each in work.images}
        self.images = {name: self._taken_up(each) for name, each in self.images.items()}
        there = {each.sha256 for each in self.images.values()}
        return [each.name for each in work.images if each.sha256 not in there]

    def saved_image(self, file_sha256: str) -> SavedImage | None:
        """Return what the work that was opened says of an image."""
        return self._saved.get(file_sha256)

    def _taken_up(self, image: WorkbenchImage) -> WorkbenchImage:
        saved = self._saved.get(image.sha256)
        if saved is None or image.edits:
            return image
        if saved.pixel_size.source == "typed" and saved.pixel_size.nm is not None:
            image = replace(image, micrograph=image.micrograph.with_pixel_size(saved.pixel_size.nm))
        try:
            if saved.edits and saved.found != image.found:  # the numbers of particles would mean others
                raise InputError(f"made of particles found by {saved.model}; choose that and open the project again")
            return image.edited(saved.edits)
        except InputError as error:
            self.failures[image.name] = f"{count_words(len(saved.edits), 'correction')} left out: {error}"
            return image

    def remove(self, name: str) -> None:
        """Take an image away."""
        del self.images[name]
        self._forget(name)

    def clear(self) -> None:
        """Take everything away."""
        self.images, self._saved, self._undo, self._redo = {}, {}, [], []
        self.failures.clear()

    def _forget(self, name: str) -> None:
        for kept in (self._undo, self._redo):
            kept[:] = [each for each in kept if each[0] != name]

    def drop(self, name: str, labels: Iterable[int]) -> None:
        """Drop wrong particles of an image."""
        self.correct(name, Edit("drop", tuple(labels)))

    def merge(self, name: str, first: int, second: int) -> None:
        """Make one particle of two neighbours."""
        self.correct(name, Edit("merge", (first, second)))

    def correct(self, name: str, edit: Edit) -> None:
        """Make a correction of an image, or raise the InputError that says why it is impossible."""
        self._change(name, (*self.images[name].edits, edit))

    def restore(self, name: str) -> None:
        """Take all corrections of an image back."""
        if self.images[name].edits:
            self._change(name, ())

    def _change(self, name: str, edits: tuple[Edit, ...]) -> None:
        before = self.images[name].edits
        self._make(name, edits)
        self._undo.append((name, before))
        self._redo.clear()

    def _make(self, name: str, edits: tuple[Edit, ...]) -> None:
        with self._lock:
            self.images[name] = self.images[name].edited(edits)

    @property
    def can_undo(self) -> bool:
        """Whether there is anything to undo."""
        return bool(self._undo)

    @property
    def can_redo(self) -> bool:
        """Whether anything was undone that can be done again."""
        return bool(self._redo)

    def undo(self) -> str | None:
        """Take the last change back, in whatever image it was, and return the image's name; None if there is none."""
        return self._step(self._undo, self._redo)

    def redo(self) -> str | None:
        """Do again what was undone last, and return the image's name; None if there is nothing."""
        return self._step(self._redo, self._undo)

    def _step(self, of: list[tuple[str, tuple[Edit, ...]]], to: list[tuple[str, tuple[Edit, ...]]]) -> str | None:
        if not of:
            return None
        name, edits = of.pop()
        to.append((name, self.images[name].edits))
        self._make(name, edits)
        return name

    def set_pixel_size(self, nm: float, names: Iterable[str] | None = None) -> None:
        """Type the pixel size of these images, or of all.

        Raises
        ------
        InputError
            If it is not a number above 0.
        """
        for name in list(self.images) if names is None else names:
            image = self.images[name]
            self.images[name] = replace(image, micrograph=image.micrograph.with_pixel_size(nm))

    def pixel_size(self, name: str) -> PixelSize:
        """Return the pixel size of an image and where it is known from."""
        return self.images[name].micrograph.pixel_size

    def particles(self) -> pd.DataFrame:
        """Return the particle table of all images.

        Raises
        ------
        InputError
            If there is no image.
        """
        return particles_of(self._measured())

    def sizes(self) -> Sizes:
        """Return size distribution, statistics and fit of all images together.

        Raises
        ------
        InputError
            If there is no particle that counts, some images have a pixel size and others none, or the fit chosen needs
            more particles.
        """
        sample = size_sample(self.particles(), self.quantity, border=self.border, where=self.where)
        result = statistics(sample, rng=generator(0, 0), repeats=_REPEATS)
        return Sizes(sample, result, self._fitted(sample))

    def _fitted(self, sample: SizeSample) -> Fit | None:
        if self.fit_name == "none":
            return None
        try:
            return fit(sample, self.fit_name)
        except InputError:
            if self.fit_name == "auto":  # says nothing of a handful of particles
                return None
            raise

    def write(self, out: Path | str) -> list[Path]:
        """Write everything into a folder and return the files.

        `particles.csv`, `sizes.xlsx`, `sizes.json`, `report.pdf`, `.html` and `.png`, `labels.zip`, `corrections.json`.
        """
        out, held = output_folder(out), self._held()
        report = held._report()
        write_tables(report, out)
        write_page(report, held._measured(), out)
        held.write_label_maps(out / "labels.zip")
        saved = self.saved_work().model_dump(mode="json", exclude_defaults=True)["images"]
        corrections = {each["name"]: {"model": each["model"], "edits": each["edits"]} for each in saved}
        write_json(out / "corrections.json", {"images": corrections, "failures": self.failures})
        return sorted(path for path in out.iterdir() if path.is_file())

    def write_file(self, file: File, folder: Path) -> Path:
        """Write one of `FILES` into a folder and return its path."""
        path, held = output_folder(folder) / file, self._held()
        if file == "particles.csv":
            return write_csv(path, held._explained_particles())
        if file == "labels.zip":
            return held.write_label_maps(path)
        if file == "session.json":
            write_json(path, self.saved_work().model_dump(mode="json", exclude_defaults=True))
        elif file == "sizes.xlsx":
            write_tables(held._report(), folder)
        else:
            write_page(held._report(), held._measured(), folder, png=False)
        return path

    def _held(self) -> "Workbench":
        """Return it as it is now: what writes a file may take its time, while corrections go on."""
        with self._lock:
            for each in self.images.values():
                each.hold()
            return replace(self, images=dict(self.images))

    def _explained_particles(self) -> pd.DataFrame:
        """Return the particles with what made them and how much each counts; nothing counts where units differ."""
        table = self.particles()
        for column, value in (("model", lambda each: each.model), ("corrections", lambda each: len(each.edits))):
            table[column] = table["image"].map({name: value(each) for name, each in self.images.items()})
        with suppress(InputError):
            sample = size_sample(table, self.quantity, border=self.border, where=self.where)
            table.loc[sample.rows, ["weight", "volume_weight"]] = np.column_stack(
                [sample.weights, sample.volume_weights]
            )
        return table

    def _measured(self) -> list[MeasuredImage]:
        if not self.images:
            raise InputError("no image yet; add one")
        return [each.measured for each in self.images.values()]

    def _report(self) -> SizeReport:
        fit_name = "auto" if self.fit_name == "none" else self.fit_name
        chosen: SampleOptions = {"quantity": self.quantity, "border": self.border, "where": self.where}
        return summarise_sizes(self._measured(), fit_name=fit_name, **chosen)

    def write_label_maps(self, path: Path) -> Path:
        """Write the label maps, each of the size of its file, as TIFFs in an archive."""
        with atomic(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            for number, each in enumerate(self.images.values()):
                labels = each.measured.labels
                whole = np.pad(labels, ((0, each.bar_rows), (0, 0)))
                tiff = path.with_name(f".labels-{number}.tif")
                about, rows = each.micrograph, len(labels)
                write_labels(
                    tiff,
                    whole,
                    pixel_size=about.pixel_size,
                    image=about.path.name,
                    image_rows=rows,
                    trust=each.measured.trust,
                )
                archive.write(tiff, f"{each.name}.labels.tif")
                tiff.unlink()
        return path
