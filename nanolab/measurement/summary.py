"""The sizes of one sample: its images measured, statistics with intervals, fits, and what a reader must know."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Unpack, get_args

import numpy as np
import pandas as pd
from scipy.stats import norm

from nanolab import __version__
from nanolab.core.checks import InputError, check_choice
from nanolab.core.seeds import generator
from nanolab.core.typing import AnyImage, AnyLabelMap
from nanolab.core.words import count_words
from nanolab.images.pixel_size import PixelSize
from nanolab.images.trust import UNTRUSTED, Trust
from nanolab.measurement.conditions import fulfilling
from nanolab.measurement.fits import FITS, Fit, GoodnessOfFit, fit, fit_all, goodness_of_fit
from nanolab.measurement.nanomaterial import Nanomaterial, share_below_limit
from nanolab.measurement.particles import check_length, measure
from nanolab.measurement.precision import between_images, iso_particles, more_needed, precision_by_count
from nanolab.measurement.size_sample import Border, SampleOptions, SizeSample, quantiles, size_sample
from nanolab.measurement.statistics import FEW_IMAGES, FEW_PARTICLES, statistics

__all__ = [
    "MeasuredImage",
    "SizeOptions",
    "SizeReport",
    "WithoutScale",
    "check_choices",
    "measure_image",
    "particles_of",
    "summarise_sizes",
]


#: What becomes of images without a pixel size where others have one.
WithoutScale = Literal["refuse", "leave out", "px"]

_ERROR = 0.05  # precision that the count needed is given for
_REJECTED = 0.05  # p-value of a fit below which its test rejects it
# Part of the variance between images from which they are of different samples: 20 images of one (BAM TiO2) have 0.03,
# any two of them at most 0.07; 60 images of as many samples (EMPS) have 0.89.
_APART = 0.5
_SHOWN = 3  # images that a note names
_CURVE_REPEATS = 199  # bootstrap samples behind each point of how the interval falls
#: Rules by which some particles alone count: name, column, condition. Nearly all of an unobstructed one is seen.
_ALONE = (
    ("unobstructed", "visible_fraction", "visible_fraction >= 0.95"),
    ("trusted", "trust", f"trust >= {UNTRUSTED}"),
)
_SPECK_PX, _SPECKS = 12, 0.1  # px of area, 4 px across: specks of thresholds; above this share they move the median


@dataclass(frozen=True, eq=False)
class MeasuredImage:
    """A label map with its particles.

    Attributes
    ----------
    name
        Of the image, as in the table.
    labels
        Shape (height, width), 0 = background.
    pixel_size
        Edge of a pixel and where it is known from.
    particles
        Of `nanolab.measurement.particles.measure`.
    image
        Shape (height, width) in [0, 1], if at hand.
    made_by
        What has found the particles, in words, if known.
    trust
        How far they can be believed, if known.
    """

    name: str
    labels: AnyLabelMap
    pixel_size: PixelSize
    particles: pd.DataFrame
    image: AnyImage | None = None
    made_by: str = ""
    trust: Trust | None = None


def measure_image(
    name: str,
    labels: AnyLabelMap,
    *,
    pixel_size: PixelSize,
    image: AnyImage | None = None,
    classes: Mapping[int, str] | None = None,
    made_by: str = "",
    trust: Trust | None = None,
) -> MeasuredImage:
    """Measure a label map; see `nanolab.measurement.particles.measure`. With `trust` the table has that column too."""
    table = measure(labels, pixel_size=pixel_size, image=image, name=name, classes=classes)
    if trust is not None:
        table["trust"] = np.array(trust.particles, dtype=np.float64)[table["label"] - 1]
    return MeasuredImage(name, labels, pixel_size, table, image, made_by, trust)


def particles_of(images: Iterable[MeasuredImage]) -> pd.DataFrame:
    """Return the particles of several images in one table; empty if there are none."""
    tables = [each.particles for each in images]
    nothing = measure(np.zeros((1, 1), dtype=np.int32), pixel_size=PixelSize.unknown("no image"))
    return pd.concat([each for each in tables if len(each)] or tables or [nothing], ignore_index=True)


@dataclass(frozen=True, eq=False)
class SizeReport:
    """What is known of the sizes of a sample.

    Attributes
    ----------
    title
        Name of the sample.
    particles
        Of all images, each with its `weight` and `volume_weight` in the distributions, of mean 1; empty where it does
        not count.
    sample
        Those that count, with their weights.
    statistics
        Of `nanolab.measurement.statistics.statistics`.
    fits
        All that can be chosen from, best BIC first; empty where there are too few particles.
    chosen, goodness
        The fit on the page, and how well it fits; None where there is none.
    needed
        What an error of 5 % of D50 needs, by the bootstrap and by ISO 13322-1, and which part of the variance lies
        between images; no counts where that says that they are of different samples.
    nanomaterial
        Share of the particles below 100 nm; None without a pixel size.
    precision
        How well fewer images, or particles, tell D50, see `nanolab.measurement.precision.precision_by_count`.
    rules
        By each rule of what counts, how many particles that are and their D50: `correct`, `drop`, `keep` for those at
        the border; with the rule chosen there, `unobstructed` ones alone and, where trust is known, `trusted` ones.
    budget
        Standard uncertainties of D50, relative, by source: images (particles, where there is one image), pixel size,
        outline (where in its pixels it lies).
    scales
        Pixel size of each image, in words.
    settings
        How it was computed.
    made_by
        What has found the particles, in words, if known.
    notes
        What a reader must know.
    trust
        How far each image can be believed, the least first, and why not; empty where that is not known.
    """

    title: str
    particles: pd.DataFrame
    sample: SizeSample
    statistics: dict[str, Any]
    fits: list[Fit]
    chosen: Fit | None
    goodness: GoodnessOfFit | None
    needed: dict[str, Any]
    nanomaterial: Nanomaterial | None
    precision: list[dict[str, float]]
    rules: dict[str, dict[str, float]]
    budget: dict[str, float]
    scales: dict[str, str]
    settings: dict[str, Any]
    made_by: list[str]
    notes: list[str] = field(default_factory=list)
    trust: dict[str, Trust] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return all but the particles, ready for JSON."""
        fits = [
            {"name": each.name, "bic": each.bic, "aic": each.aic, "parameters": each.parameters} for each in self.fits
        ]
        chosen = None if self.chosen is None else {"name": self.chosen.name, "parameters": self.chosen.parameters}
        return {
            "title": self.title,
            "statistics": self.statistics,
            "fit": chosen,
            "goodness_of_fit": None if self.goodness is None else asdict(self.goodness),
            "fits": fits,
            "needed": self.needed,
            "nanomaterial": self.nanomaterial and {**asdict(self.nanomaterial), "verdict": self.nanomaterial.verdict},
            "precision": self.precision,
            "rules": self.rules,
            "budget": {
                f"d50_{self.sample.unit}": {name: {"standard_uncertainty": each} for name, each in self.budget.items()}
            },
            "settings": self.settings,
            "made_by": self.made_by,
            "pixel_size": self.scales,
            "notes": self.notes,
            "trust": {name: each.model_dump(exclude={"particles"}) for name, each in self.trust.items()},
            "nanolab": __version__,
        }


class SizeOptions(SampleOptions, total=False):
    """What `summarise_sizes` takes by name, and the report that writes it down."""

    title: str
    fit_name: str
    seed: int
    repeats: int
    without_scale: WithoutScale
    pixel_size_error: float | None


def summarise_sizes(
    images: Iterable[MeasuredImage],
    *,
    title: str = "sample",
    fit_name: str = "auto",
    seed: int = 0,
    repeats: int = 999,
    without_scale: WithoutScale = "refuse",
    pixel_size_error: float | None = None,
    **options: Unpack[SampleOptions],
) -> SizeReport:
    """Compute statistics, intervals and fits of the images of one sample.

    Parameters
    ----------
    fit_name
        "auto" (lowest BIC), or one of `nanolab.measurement.fits.FITS`.
    repeats
        Bootstrap samples behind the intervals.
    without_scale
        Where some images have no pixel size: "refuse" them, "leave out" these, or measure all in "px".
    pixel_size_error
        Standard uncertainty of the pixel sizes, relative; by their source if None.
    options
        Quantity, border, least area and conditions, see `nanolab.measurement.size_sample.size_sample`.

    Raises
    ------
    InputError
        If there is no particle, some images have a pixel size and others none, or the fit is impossible.
    """
    check_choices(options.get("quantity", "ecd"), options.get("border", "correct"), fit_name, without_scale)
    images, notes = _of_one_scale(list(images), without_scale)
    particles = particles_of(images)
    sample = size_sample(particles, **options)
    result = statistics(sample, rng=generator(seed, 0), repeats=repeats)
    fits, chosen = _fits(sample, fit_name)
    goodness = None
    if chosen is not None and chosen.name != "kde":
        goodness = goodness_of_fit(sample, chosen, rng=generator(seed, 1), repeats=99)
    scales = {each.name: str(each.pixel_size) for each in images}
    needed = _needed(sample, result)
    particles.loc[sample.rows, ["weight", "volume_weight"]] = np.column_stack([sample.weights, sample.volume_weights])
    settings = {"quantity": sample.quantity, "border": sample.border, "min_area_px": options.get("min_area_px", 0)}
    if where := options.get("where"):
        settings["where"] = where
    settings |= {"fit": fit_name, "seed": seed, "bootstrap": repeats}
    made_by = sorted({each.made_by for each in images} - {""})
    few = len(sample) < FEW_PARTICLES
    report = SizeReport(
        title,
        particles,
        sample,
        result,
        fits,
        chosen,
        goodness,
        needed,
        None if few else _nanomaterial(particles, options, seed, repeats),
        [] if few else precision_by_count(sample, rng=generator(seed, 6), repeats=min(repeats, _CURVE_REPEATS)),
        _rules(particles, options),
        _budget(result, sample.quantity, [each.pixel_size for each in images], pixel_size_error),
        scales,
        settings,
        made_by,
    )
    known = {each.name: each.trust for each in images if each.trust is not None}
    report.trust.update(sorted(known.items(), key=lambda item: item[1].image))
    report.notes.extend([*_notes(report), *notes, *_trust_notes(report)])
    return report


def check_choices(quantity: str, border: str, fit_name: str, without_scale: str) -> None:
    """Require words that `summarise_sizes` knows; for a program that measures many images before it is asked."""
    check_length(quantity)
    check_choice(border, "border", get_args(Border))
    check_choice(fit_name, "fit", ("auto", *FITS))
    check_choice(without_scale, "without_scale", get_args(WithoutScale))


def _of_one_scale(images: list[MeasuredImage], without_scale: WithoutScale) -> tuple[list[MeasuredImage], list[str]]:
    """Return images whose sizes can be pooled, and what a reader must know of it."""
    known = {each.pixel_size.nm for each in images if len(each.particles)} - {None}
    lacking = [each.name for each in images if each.pixel_size.nm is None and len(each.particles)]
    if without_scale == "px" and known:
        if len(known) > 1:
            shown = ", ".join(f"{nm:.4g}" for nm in sorted(filter(None, known)))
            raise InputError(
                f"px: pixels of different size cannot be pooled, got {shown} nm; give every image its scale"
            )
        with_nm = sum(each.pixel_size.nm is not None for each in images)
        return [_in_px(each) for each in images], [
            f"All in pixels as asked; the pixel size is known of {with_nm} of {count_words(len(images), 'image')}."
        ]
    if not (known and lacking):
        return images, []
    if without_scale == "leave out":
        return [each for each in images if each.name not in lacking], [
            f"Left out, no pixel size: {', '.join(lacking)}."
        ]
    raise InputError(
        f"{', '.join(lacking)}: no pixel size, but others have one; give a table of scales (--scales), "
        "or choose --without-scale 'leave out' or px"
    )


def _in_px(image: MeasuredImage) -> MeasuredImage:
    in_nm = [name for name in image.particles if name.endswith(("_nm", "_nm2"))]
    unknown = PixelSize.unknown("all images in px")
    table = image.particles.drop(columns=in_nm).assign(scale_source=unknown.source)
    return replace(image, pixel_size=unknown, particles=table)


def _fits(sample: SizeSample, name: str) -> tuple[list[Fit], Fit | None]:
    """Fit what can be; "auto" says nothing of a handful of particles, and a fit asked for by name is an error there."""
    try:
        fits = fit_all(sample)
    except InputError:
        if name != "auto":
            raise
        return [], None
    return fits, fits[0] if name == "auto" else fit(sample, name)


def _needed(sample: SizeSample, result: dict[str, Any]) -> dict[str, Any]:
    spread, between = result["number"]["geometric_sd"], between_images(sample)
    iso = None if spread is None or spread <= 1 else iso_particles(spread, _ERROR)
    counts = more_needed(result, _ERROR)
    if apart := between is not None and between > _APART:
        counts = dict.fromkeys(counts)
    return {"error": _ERROR, **counts, "iso_13322_1_mean": None if apart else iso, "between_images": between}


def _nanomaterial(particles: pd.DataFrame, options: SampleOptions, seed: int, repeats: int) -> Nanomaterial | None:
    border, least = options.get("border", "correct"), options.get("min_area_px", 0)
    particles = particles[fulfilling(particles, options.get("where", ""))]
    return share_below_limit(particles, border=border, min_area_px=least, rng=generator(seed, 5), repeats=repeats)


def _rules(particles: pd.DataFrame, options: SampleOptions) -> dict[str, dict[str, float]]:
    """Return what each rule of what counts would give; a rule that leaves no particle is not among them."""
    where = options.get("where", "")
    choices = {border: SampleOptions(border=border) for border in get_args(Border)}
    for name, column, condition in _ALONE:
        if column in particles:
            choices[name] = {"where": f"{where} and {condition}" if where else condition}
    rules = {}
    for name, choice in choices.items():
        chosen: SampleOptions = {**options, **choice}
        try:
            sample = size_sample(particles, **chosen)
        except InputError:
            continue
        rules[name] = {"count": len(sample), "d50": float(quantiles(sample.sizes, sample.weights, 0.5))}
    return rules


def _budget(
    result: dict[str, Any], quantity: str, scales: list[PixelSize], pixel_size_error: float | None
) -> dict[str, float]:
    """Return relative standard uncertainties of D50 by their source; none without an interval.

    An outline lies somewhere in the pixels it runs through, and where depends on the focus and on what finds it, which
    are the same for all particles: their number does not help. Half a pixel at both ends are 1 px, of which the
    standard uncertainty is 1 / sqrt(3) (JCGM 100:2008, 4.3.7). Distances of centroids do not know it.
    """
    interval, value = result["number"]["intervals"].get("d50"), result["number"]["d50"]
    if interval is None:
        return {}
    scatter = (interval[1] - interval[0]) / 2 / value / norm.ppf((1 + result["confidence"]) / 2)
    known = max(each.uncertainty for each in scales)
    scale = known if pixel_size_error is None or result["unit"] == "px" else pixel_size_error
    pixel = 1.0 if result["unit"] == "px" else max(each.nm or 0.0 for each in scales)
    outline = 0.0 if quantity == "nearest_neighbour" else pixel / np.sqrt(3) / value
    return {result["resampled"]: float(scatter), "pixel size": scale, "outline": float(outline)}


def _notes(report: SizeReport) -> list[str]:
    result, sample = report.statistics, report.sample
    scales = sorted(set(report.scales.values()))
    shown = scales[0] if len(scales) == 1 else f"{len(scales)} different ones, see the table of pixel sizes"
    border = {
        "correct": "left out; the others weighted for it (Miles-Lantuejoul)",
        "drop": "left out",
        "keep": "counted as far as they are seen",
    }[sample.border]
    notes = [
        f"Pixel size: {shown}." + (" All lengths are in pixels." if sample.unit == "px" else ""),
        f"{count_words(len(sample), 'particle')} of {count_words(len(sample.images), 'image')}; "
        f"{sample.cut} touch the border: {border}"
        + (f"; {sample.small} smaller than {report.settings['min_area_px']} px left out" if sample.small else "")
        + (f"; {sample.lonely} alone in their image left out" if sample.lonely else "")
        + (f"; {sample.refused} left out that are not {report.settings['where']}." if sample.refused else "."),
        f"By volume: weighted with ECD³, as of spheres. Intervals: bootstrap over {result['resampled']}, "
        f"{result['repeats']} times.",
    ]
    if result["resampled"] == "particles":
        notes.append("One image: the intervals know nothing of differences between places of the sample.")
    elif len(sample.images) < FEW_IMAGES:
        notes.append(f"Fewer than {FEW_IMAGES} images: the intervals are too narrow.")
    rules = ", ".join(f"{name} {rule['d50']:.4g} {sample.unit}" for name, rule in report.rules.items())
    notes.append(f"D50 by the rule of what counts: {rules}; here {_rule(report)}.")
    if report.nanomaterial is not None:
        notes.append(str(report.nanomaterial))
    return notes + _doubts(report)


def _rule(report: SizeReport) -> str:
    where = report.settings.get("where")
    return f"{report.sample.border}, those with {where}" if where else report.sample.border


def _known_to(report: SizeReport) -> str:
    """Return the half width of the interval of D50 and what it is made of."""
    parts = {name: 2 * each for name, each in report.budget.items() if each}
    total = np.sqrt(np.sum(np.square(list(parts.values()))))
    named = ", ".join(f"{name} {each:.1%}" for name, each in parts.items())
    return f"{total:.1%} (k = 2: {named}), if every particle is found as it is (--twin tells)"


def _more(report: SizeReport) -> str:
    """Return what a wanted precision needs where it is not there: particles, or more pixels of each."""
    needed, outline = report.needed, report.budget["outline"]
    if 2 * outline > _ERROR:
        across = 1 / (np.sqrt(3) * outline)
        return f"; with {across:.3g} px across, no number of particles makes it {_ERROR:.0%}: magnify more"
    if not needed["more_particles"]:
        return ""
    return f"; {_ERROR:.0%} needs about {needed['particles']} particles in {needed['images']} images like these"


def _trust_notes(report: SizeReport) -> list[str]:
    """Return which images to look at first and why, and how many particles are more likely wrong than right."""
    every = [each.notes for each in report.trust.values()]
    of_all = [note for note in every[0] if all(note in each for each in every)] if len(every) > 1 else []
    own = {name: [note for note in each.notes if note not in of_all] for name, each in report.trust.items()}
    doubted = {name: notes for name, notes in own.items() if notes}
    first = list(doubted.items())[:_SHOWN]
    shown = [f"{name} ({report.trust[name].image:.2f}: {', '.join(notes[:2])})" for name, notes in first]
    more = f", and {len(doubted) - _SHOWN} more" if len(doubted) > _SHOWN else ""
    notes = [f"Look at these first: {'; '.join(shown)}{more}."] if shown else []
    notes += [f"Of all images: {note}." for note in of_all]
    if "trust" in report.particles and (count := int((report.particles["trust"] < UNTRUSTED).sum())):
        notes.append(f"Hatched: {count_words(count, 'particle')} with a trust below {UNTRUSTED}.")
    return notes


def _doubts(report: SizeReport) -> list[str]:
    """Return how far the numbers can be trusted."""
    sample, needed, chosen, goodness = report.sample, report.needed, report.chosen, report.goodness
    notes = []
    areas = report.particles.loc[sample.rows, "area_px"]
    if (areas < _SPECK_PX).mean() > _SPECKS:
        notes.append(
            f"{(areas < _SPECK_PX).sum()} of {len(areas)} particles are smaller than {_SPECK_PX} px: specks, or too "
            "small to be measured at this magnification; --min-area-px leaves such out."
        )
    if len(sample) < FEW_PARTICLES:
        are = "particle is" if len(sample) == 1 else "particles are"
        notes.append(f"{len(sample)} {are} too few for intervals; measure at least {FEW_PARTICLES}.")
    if (between := needed["between_images"]) is not None and between > _APART:
        notes.append(
            f"These images do not look like one sample: {between:.0%} of the variance of sizes lies between images; "
            "report them apart."
        )
    elif len(report.sample.images) > 1 and report.budget.get("images") == 0:
        notes.append("All images have the very same sizes: is one of them there twice?")
    elif needed["error_now"] is not None:
        notes.append(f"D50 is known to {_known_to(report)}{_more(report)}.")
    if goodness is not None and chosen is not None:
        tests = f"Kolmogorov-Smirnov p = {goodness.ks_p:.2g}, Anderson-Darling p = {goodness.ad_p:.2g}"
        bad = ": the sample is not of this distribution" if min(goodness.ks_p, goodness.ad_p) < _REJECTED else ""
        best = ", though it is the best by BIC" if bad and chosen.name == report.fits[0].name else ""
        notes.append(f"Fit: {chosen.name}; {tests} (parametric bootstrap){bad}{best}.")
    return notes
