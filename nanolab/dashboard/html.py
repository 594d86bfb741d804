"""What the page says in HTML; whatever comes from a file or a visitor is escaped here."""

import base64
import html
import math
from collections.abc import Mapping, Sequence

from nanolab.core.words import count_words
from nanolab.dashboard.learning import compared_words
from nanolab.dashboard.workbench import Sizes, WorkbenchImage
from nanolab.figures.images import plot_images
from nanolab.figures.panels import png
from nanolab.figures.sizes import STATISTICS
from nanolab.images.pixel_size import PixelSize
from nanolab.images.trust import UNTRUSTED, Trust
from nanolab.measurement.fits import Fit

__all__ = [
    "failure_list",
    "hint",
    "left_out_words",
    "message",
    "scale_words",
    "shape_words",
    "shown_nm",
    "statistics_html",
    "taught_html",
    "trust_words",
]

_STATISTICS = ("d10", "d50", "d90", "mean", "sd", "mode", "span", "geometric_sd")


def hint(text: str) -> str:
    """Return a line of small print; `text` is no HTML."""
    return f'<p class="hint">{html.escape(text)}</p>'


def message(text: str, *, wrong: bool = False) -> str:
    """Return what the visitor is told, read aloud by screen readers; `text` is no HTML."""
    role, kind = ("alert", "message wrong") if wrong else ("status", "message")
    return f'<div class="{kind}" role="{role}">{html.escape(text)}</div>' if text else ""


def failure_list(failures: Mapping[str, str]) -> str:
    """Return the files that could not be used, each with the reason."""
    lines = "".join(f"<li><b>{html.escape(name)}</b>: {html.escape(why)}</li>" for name, why in failures.items())
    return f'<ul class="failures" role="alert">{lines}</ul>' if lines else ""


def shown_nm(nm: float) -> str:
    """Return a length as the page shows it."""
    return f"{nm:.6g}"


def shape_words(value: float) -> str:
    """Return a ratio as the page shows it; particles of few pixels have none."""
    return "too small to tell" if math.isnan(value) else f"{value:.2f}"


def left_out_words(left_out: Mapping[str, int]) -> str:
    """Return how many more particles were found and left out as what."""
    return "".join(hint(f"{count} left out: {what}") for what, count in left_out.items() if count)


def scale_words(pixel_size: PixelSize) -> str:
    """Return where the pixel size is known from, or that it is not."""
    if pixel_size.nm is None:
        why = html.escape(pixel_size.detail)
        return f'<p class="hint warn">Unknown ({why}): sizes are in px until it is typed.</p>'
    if pixel_size.source == "typed":
        return hint("Typed by hand")
    sure = "" if pixel_size.confidence is None else f", confidence {pixel_size.confidence:.0%}"
    return hint(f"From {pixel_size.source}: {pixel_size.detail}{sure}")


def trust_words(trust: Trust) -> str:
    """Return how far the particles of an image can be believed, and what speaks against."""
    notes = "".join(f"<br>{html.escape(note)}" for note in trust.notes)
    style = "hint warn" if trust.image < UNTRUSTED else "hint"
    return f'<p class="{style}">Trust {trust.image:.2f}: the chance that the median is right to 10 %.{notes}</p>'


def taught_html(name: str, pairs: Sequence[tuple[WorkbenchImage, WorkbenchImage]]) -> str:
    """Return what a network finds that has learned next to what was found before, drawn for the first image."""
    if not pairs:
        return hint(f"{name} has learned; all images are corrected, so there is none to try it on.")
    lines = "".join(f"<li>{html.escape(compared_words(*pair))}</li>" for pair in pairs)
    before, after = pairs[0]
    figure = plot_images(
        [before.micrograph.pixels, after.micrograph.pixels],
        labels=[before.labels, after.labels],
        titles=[f"{before.name}: before", "after"],
    )
    picture = base64.b64encode(png(figure)).decode()
    said = f"<b>{html.escape(name)}</b>, in images that are not corrected, least trusted first"
    return (
        f'<p class="hint">{said}</p><ul class="hint">{lines}</ul>'
        f'<img alt="before and after" style="width: 100%" src="data:image/png;base64,{picture}">'
    )


def statistics_html(sizes: Sizes) -> str:
    """Return the statistics as an HTML table, with intervals, and a line on what was counted."""
    result, rows = sizes.statistics, []
    for name in _STATISTICS:
        cells = []
        for weighting in ("number", "volume"):
            value, interval = result[weighting][name], result[weighting]["intervals"].get(name)
            shown = "&ndash;" if value is None else f"{value:.4g}"
            between = "" if interval is None else f" <small>{interval[0]:.3g}&ndash;{interval[1]:.3g}</small>"
            cells.append(f"<td>{shown}{between}</td>")
        unit = "" if name in ("span", "geometric_sd") else f" / {result['unit']}"
        rows.append(f"<tr><th scope='row'>{STATISTICS.get(name, name)}{unit}</th>{''.join(cells)}</tr>")
    fitted = "" if sizes.fitted is None else f"; fit: {html.escape(_fit_words(sizes.fitted))}"
    head = "<tr><th></th><th scope='col'>by number</th><th scope='col'>by volume</th></tr>"
    note = (
        f"{count_words(result['count'], 'particle')} in {count_words(result['images'], 'image')}; "
        f"{result['touching_border']} cut by the border; 95 % intervals from {result['resampled']}{fitted}"
    )
    return f'<table class="statistics">{head}{"".join(rows)}</table><p class="hint">{note}</p>'


def _fit_words(fitted: Fit) -> str:
    named = []
    for key, value in fitted.parameters.items():
        values = value if isinstance(value, list) else [value]
        named.append(f"{key.replace('_', ' ')} " + " and ".join(f"{each:.4g}" for each in values))
    return f"{fitted.name} ({', '.join(named)})" if named else fitted.name
