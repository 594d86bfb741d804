"""A recipe fitted to micrographs in one call: the recipe, how far it resembles them, and what was done, on a page."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from matplotlib.figure import Figure

from nanolab import __version__
from nanolab.core.files import atomic, output_folder, read_json, sha256, write_json
from nanolab.core.seeds import generator
from nanolab.core.words import count_words
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.figures.images import plot_images
from nanolab.images.folders import image_files
from nanolab.images.micrograph import Micrograph, read
from nanolab.images.scale_table import typed_scale
from nanolab.models.shipped import shipped_model
from nanolab.realism.comparison import compare_sets
from nanolab.realism.presets import find_preset
from nanolab.reports.html import html_report
from nanolab.segmentation.segmenter import Segmenter
from nanolab.synthesis.recipe import Recipe, dump_recipe, load_recipe
from nanolab.twin.fitting import Fit, fit_recipe
from nanolab.twin.twins import one_pixel_size

__all__ = ["fit_twin", "kept_twin"]

_LOOKED_AT = 5  # images that say which magnification suits them
_PATCHES = 400
_LEAST_IMAGES, _LEAST_PATCHES = 4, 100  # of which features are compared
_PAIRS = 4


def fit_twin(
    images: Iterable[Path | str],
    out: Path | str,
    *,
    parent: Recipe | Path | str = "generic_sem",
    model: Path | str | None = None,
    pixel_size_nm: float | Mapping[str, float] | None = None,
    find_scale_bar: bool = False,
    scenes: int = 40,
    seed: int = 0,
    progress: bool = True,
) -> Fit:
    """Fit a recipe to unlabelled micrographs of one sample, see `nanolab.twin.fitting.fit_recipe`.

    Writes `OUT/recipe.yaml`, `OUT/twin.json` (what is fitted and kept, resemblance and realism before and after) and
    `OUT/twin.html`, with micrographs and renders in pairs, in which order only the file says.

    Parameters
    ----------
    images
        Image files, folders of them or patterns, all of one pixel size.
    out
        The folder.
    parent
        Where to begin: `generic_sem`, `generic_him`, `generic_tem`, `generic_haadf`, or a recipe of a like sample.
    model
        The network; the one that ships if None.
    pixel_size_nm, find_scale_bar
        See `nanolab.segmentation.files.segment_files`.
    scenes, seed, progress
        See `fit_recipe`.

    Raises
    ------
    InputError
        If an image cannot be read, pixel sizes are not known or not one, or no particles are found.

    Examples
    --------
    >>> nl.fit_twin(["micrographs"], "twin", parent="generic_tem").failed  # doctest: +SKIP
    """
    begun = parent if isinstance(parent, Recipe) else load_recipe(parent)
    seen = [
        read(each, pixel_size_nm=typed_scale(pixel_size_nm, each.name, each.stem), find_scale_bar=find_scale_bar)
        for each in image_files(*images)
    ]
    nm = one_pixel_size({each.name: each.pixel_size for each in seen}).nm or 0.0
    seen = [each.crop_data_bar() for each in seen]
    out = output_folder(out)
    model = model or shipped_model()
    auto = Segmenter(model, magnification="auto")
    best = median(auto.magnification(each.pixels) for each in seen[:_LOOKED_AT])
    finder = Segmenter(model, magnification=best)
    fit = fit_recipe(
        [each.pixels for each in seen], begun, finder, pixel_size_nm=nm, scenes=scenes, seed=seed, progress=progress
    )
    fit = replace(fit, recipe=fit.recipe.model_copy(update={"name": "twin", "description": f"Like {seen[0].name}"}))
    text = _commented(fit, begun.name, [each.name for each in seen])
    with atomic(out / "recipe.yaml") as part:
        part.write_text(text, encoding="utf-8")
    numbers = _numbers(fit, seen, begun.name, finder.made_by, seed)
    figure, order = _pairs(seen, fit.renders, seed)
    write_json(out / "twin.json", {**numbers, "left_is_real": order})
    page = html_report(
        f"Twin of {count_words(len(seen), 'micrograph')}",
        [f"Still unlike the micrographs: {each}" for each in fit.failed] or ["The renders resemble the micrographs"],
        _notes(fit, numbers),
        [figure],
        {"fitted and kept": fit.table, "resemblance": fit.after, "resemblance before": fit.before},
    )
    with atomic(out / "twin.html") as part:
        part.write_text(page, encoding="utf-8")
    return fit


def kept_twin(files: Sequence[Path], out: Path, parent: Recipe, **options: Any) -> Recipe:
    """Return the recipe fitted to images: what `fit_twin` made before of the same ones, or makes now; `options` go on.

    What it was made of is in `OUT/made_of.json`, written last.
    """
    scale = options.get("pixel_size_nm")
    about: dict[str, Any] = {
        "parent": dump_recipe(parent),
        "images": [sha256(path) for path in files],
        "scale": dict(scale) if isinstance(scale, Mapping) else scale,
        **{name: options[name] for name in ("scenes", "seed") if name in options},
    }
    made_of = out / "made_of.json"
    if not made_of.exists() or read_json(made_of) != about:
        fit_twin(files, out, parent=parent, **options)
        write_json(made_of, about)
    return load_recipe(out / "recipe.yaml")


def _notes(fit: Fit, numbers: Mapping[str, Any]) -> list[str]:
    fitted = fit.table.loc[fit.table["fitted"], "parameter"]
    notes = [f"{len(fitted)} of {len(fit.table)} parameters were fitted, the others kept from {numbers['parent']}."]
    if not numbers["realism"]:
        notes.append(f"Features of patches are compared from {_LEAST_IMAGES} images and {_LEAST_PATCHES} patches on.")
    for when, scores in numbers["realism"].items():
        notes.append(
            f"Patches, {when} (in brackets real against real): kernel distance {scores['kid']:.3f} "
            f"({scores['kid_baseline']:.3f}), a classifier is right for {scores['c2st']:.0%} "
            f"({scores['c2st_baseline']:.0%})."
        )
    worst = fit.after.iloc[0]
    return [*notes, f"What still tells them apart most: {worst['meaning']}, {abs(worst['off']):.1f} scatters."]


def _numbers(fit: Fit, seen: Sequence[Micrograph], parent: str, made_by: str, seed: int) -> dict[str, Any]:
    alike = {
        when: table.drop(columns="meaning").to_dict("records")
        for when, table in (("before", fit.before), ("after", fit.after))
    }
    return {
        "version": __version__,
        "parent": parent,
        "images": [each.name for each in seen],
        "found_by": made_by,
        "seed": seed,
        "parameters": fit.table.to_dict("records"),
        "resemblance": alike,
        "failed": fit.failed,
        "realism": _realism(fit, seen, seed),
    }


def _realism(fit: Fit, seen: Sequence[Micrograph], seed: int) -> dict[str, dict[str, float]]:
    """Return distances of renders from micrographs, before and after, next to those among the micrographs.

    Nothing where there are too few patches for that.
    """
    side = find_preset("default").patch_px
    patches = sum((each.pixels.shape[0] // side) * (each.pixels.shape[1] // side) for each in seen)
    if len(seen) < _LEAST_IMAGES or patches < _LEAST_PATCHES:
        return {}
    real = [AnnotatedImage(each.name, each.pixels, None, each.pixel_size, Path()) for each in seen]
    scores = {}
    for when, renders in (("before", fit.begun), ("after", fit.renders)):
        known = compare_sets(real, renders, seed=seed, max_patches=_PATCHES, progress=False).scores["all"]
        scores[when] = {
            f"{measure}{end}": float(known[measure][against]["value"])
            for measure in ("kid", "c2st")
            for end, against in (("", "synthetic"), ("_baseline", "baseline"))
        }
    return scores


def _pairs(seen: Sequence[Micrograph], renders: Sequence[AnnotatedImage], seed: int) -> tuple[Figure, list[bool]]:
    """Return micrographs and renders in pairs, real ones left or right at random, and where they are left."""
    rng = generator(seed, 8)
    count = min(_PAIRS, len(seen), len(renders))
    real = [seen[k].pixels for k in rng.permutation(len(seen))[:count]]
    rendered = [renders[k].image for k in rng.permutation(len(renders))[:count]]
    order = [bool(each) for each in rng.integers(0, 2, count)]
    side = min(min(each.shape) for each in (*real, *rendered))
    pairs = zip(real, rendered, order, strict=True)
    shown = [each[:side, :side] for one, other, left in pairs for each in ((one, other) if left else (other, one))]
    return plot_images(shown, columns=4), order


def _commented(fit: Fit, parent: str, names: Sequence[str]) -> str:
    """Return the recipe as YAML, with what each fitted range was before."""
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    text = dump_recipe(fit.recipe)
    for row in fit.table[fit.table["fitted"]].itertuples():
        if row.parameter.startswith("detector."):
            name = row.parameter.removeprefix("detector.")
            text = re.sub(rf"(?m)^(  {name}: .*)$", rf"\1  # was {row.before}", text)
    return (
        f"# Fitted to {shown} with nanolab {__version__}, from {parent} at their scale.\n"
        "# Ranges with a comment were learned from the micrographs; sizes, numbers, clusters and aspect ratios, too.\n"
        f"{text}"
    )
