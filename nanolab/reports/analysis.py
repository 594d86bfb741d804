"""The whole way in one call: from micrographs to the report on their sizes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Unpack

from nanolab.core.checks import InputError
from nanolab.images.folders import image_files
from nanolab.images.micrograph import read
from nanolab.images.scale_table import typed_scale
from nanolab.measurement.label_files import measure_files
from nanolab.measurement.summary import SizeOptions, SizeReport
from nanolab.models.shipped import shipped_model
from nanolab.reports.fitted import kept_twin
from nanolab.reports.sizes import size_report
from nanolab.segmentation.files import segment_files
from nanolab.segmentation.segmenter import Segmenter
from nanolab.synthesis.recipe import Recipe, load_recipe
from nanolab.synthesis.rendered import rendered_dataset
from nanolab.training.loop import train
from nanolab.training.presets import preset_settings
from nanolab.training.settings import TrainingSettings
from nanolab.training.sources import Source
from nanolab.twin.report import correct_sizes
from nanolab.twin.twins import Counting, Network, twin_recipe

__all__ = ["Analysis", "analyse"]

_SEED = 0  # of the images that are learned from; twins have another one
_RENDERED = 90


@dataclass(frozen=True, eq=False)
class Analysis:
    """What became of micrographs: the report on their sizes, and what was wrong with those that could not be used."""

    report: SizeReport
    failures: Mapping[str, str] = field(default_factory=dict)


def analyse(
    images: Iterable[Path | str],
    out: Path | str,
    *,
    recipe: Recipe | Path | str | None = None,
    fit_from: Recipe | Path | str | None = None,
    rendered: int = _RENDERED,
    twins: int = 60,
    settings: Mapping[str, Any] = {},
    pixel_size_nm: float | Mapping[str, float] | None = None,
    find_scale_bar: bool = False,
    force: bool = False,
    **options: Unpack[SizeOptions],
) -> Analysis:
    """Find the particles of one sample's micrographs and report on their sizes; with a recipe, learn it first.

    Without a recipe the network that ships looks at the micrographs. With one, images are rendered from it at their
    pixel size and shape, the network that ships goes on learning from them, finds the particles, and what that does to
    sizes is corrected with further renders. Called again after an interruption, it goes on where it was:
    `OUT/rendered`, `OUT/training` and `OUT/labels` are kept.

    Parameters
    ----------
    images
        Image files, folders of them or patterns.
    out
        The folder. It gets `labels/` (see `nanolab.segmentation.files.segment_files`) and `sizes/` (see
        `nanolab.reports.sizes.size_report`).
    recipe
        What the sample looks like: a shipped recipe's name, or a .yaml file.
    fit_from
        In place of a recipe, fit one to the micrographs, beginning with this one (`nanolab.reports.fitted.fit_twin`);
        it is in `OUT/twin`.
    rendered, twins
        How many images are learned from, and how many sizes are corrected with.
    settings
        Of the training, over those of the preset `adapt`.
    pixel_size_nm, find_scale_bar
        See `segment_files`.
    force
        Correct sizes also where the renders do not resemble the micrographs.
    options
        Of the report, see `nanolab.measurement.summary.summarise_sizes`.

    Raises
    ------
    InputError
        If no image can be used; with a recipe, if pixel sizes are not known or not one, or the renders cannot correct
        sizes: the report as found is then there.

    Examples
    --------
    >>> nl.analyse(["micrographs"], "results", recipe="tio2_sem").report.notes  # doctest: +SKIP
    """
    files, out = image_files(*images), Path(out)
    if recipe is not None and fit_from is not None:
        raise InputError("recipe, fit_from: name a recipe, or one to begin a fit with; leave one of the two out")
    asked = fit_from if recipe is None else recipe
    known = load_recipe(asked) if isinstance(asked, str | Path) else asked
    model: Path = shipped_model()
    chosen: dict[str, Any] = {"magnification": "auto"}
    failures: dict[str, str] = {}
    if known is not None and options.get("where"):
        raise InputError("where: sizes are corrected from all particles found; leave out the condition or the recipe")
    learning = None if known is None else preset_settings("adapt", settings)  # refuses what is wrong in them
    if known is not None and learning is not None:
        views, failures = _views(files, pixel_size_nm, find_scale_bar)
        files = list(views)
        nm, shape = _one_view(views)
        if fit_from is not None:
            known = kept_twin(files, out / "twin", known, pixel_size_nm=pixel_size_nm, find_scale_bar=find_scale_bar)
        fitted = twin_recipe(known, pixel_size_nm=nm, shape=shape)
        model, chosen = _learned(fitted, rendered, out, learning), {}
    labels, segmenter = out / "labels", Segmenter(model, **chosen)
    done = segment_files(
        files, segmenter, labels, pixel_size_nm=pixel_size_nm, find_scale_bar=find_scale_bar, keep=True
    )
    there = [labels / f"{name}.labels.tif" for name in done.table.get("image", [])]
    measured, wrong = measure_files(there, pixel_size_nm=pixel_size_nm) if there else ([], {})
    failures |= {**done.failures, **wrong}
    if not measured:
        raise _none(failures)
    report = size_report(measured, out / "sizes", **options)
    if known is not None:  # after the report, which is worth something without
        network = Network(model, chosen, out / "rendered")
        counting = Counting(report.sample.quantity, report.sample.border, options.get("min_area_px", 0))
        twin = correct_sizes(
            measured, known, network, twins=twins, counting=counting, force=force, root=out / "rendered"
        )
        report = size_report(measured, out / "sizes", twin=twin, **options)
    return Analysis(report, failures)


def _none(failures: Mapping[str, str]) -> InputError:
    return InputError("\n".join(["analyse: none of the images could be used:", *failures.values()]))


_View = tuple[float | None, tuple[int, ...]]  # pixel size in nm, and shape without the data bar


def _views(
    files: list[Path], pixel_size_nm: float | Mapping[str, float] | None, find_scale_bar: bool
) -> tuple[dict[Path, _View], dict[str, str]]:
    """Return what is seen on each image that can be read, and what is wrong with the others."""
    views: dict[Path, _View] = {}
    failures: dict[str, str] = {}
    for path in files:
        try:
            typed = typed_scale(pixel_size_nm, path.name, path.stem)
            seen = read(path, pixel_size_nm=typed, find_scale_bar=find_scale_bar).crop_data_bar()
        except InputError as error:
            failures[str(path)] = str(error)
        else:
            views[path] = seen.pixel_size_nm, seen.pixels.shape
    if not views:
        raise _none(failures)
    return views, failures


def _one_view(views: Mapping[Path, _View]) -> tuple[float, tuple[int, int]]:
    """Return the pixel size in nm and the shape that renders take: the median ones."""
    if unknown := [path.stem for path, (nm, _) in views.items() if nm is None]:
        raise InputError(f"{unknown[0]}: no pixel size, and recipes are in nm; give --pixel-size-nm or --scales")
    height, width = (round(median(side)) for side in zip(*(shape for _, shape in views.values()), strict=True))
    return median(nm or 0 for nm, _ in views.values()), (height, width)


def _learned(recipe: Recipe, count: int, out: Path, settings: TrainingSettings) -> Path:
    """Return a training of the network that ships on renders of a recipe: what is there of it is kept."""
    dataset = rendered_dataset(recipe, count, seed=_SEED, root=out / "rendered")
    return train([Source(dataset[:count], name=recipe.name)], out / "training", settings, resume=True).folder
