"""The pixel size from a scale bar in the picture: its label is read, its length measured, and both are weighed."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from nanolab.images.formats.bars import Bar, find_bars, join
from nanolab.images.formats.ocr import Text, read_text
from nanolab.images.formats.vendors import length_nm
from nanolab.images.pixel_size import PixelSize

__all__ = ["read_scale_bar", "weigh"]

_LENGTH = re.compile(r"\W*(\d+(?:[.,]\d+)?)\s*([nuµμm]m)\W*", re.IGNORECASE)
_RANGES_NM = {"nm": (1, 1000), "um": (100, 1e6), "mm": (1e5, 5e6)}  # of lengths that scale bars have in each unit
_USUAL, _RARE = (1.0, 2.0, 2.5, 5.0), (1.5, 3.0, 3.5, 4.0, 6.0, 7.0, 7.5, 8.0)  # first digits of such lengths
_LEAST_CONFIDENCE = 0.55
_REACH = 2.0  # heights of the label between it and its bar
_LETTER = 0.75  # of a label's height: the widest stroke in it
_PRECISE_PX = 20.0  # length of a bar whose ends, found within half a pixel each, are sure within 5 %
_COARSEST_NM = 2e4  # a pixel of the widest field of a scanning electron microscope
_SAME = 0.03  # lengths that differ by less are one length


@dataclass(frozen=True)
class _Label:
    """A length in the picture: in nm, where it stands, and how sure it is (0 to 1)."""

    nm: float
    text: Text
    confidence: float


@dataclass(frozen=True)
class _Match:
    """A label and the bar that may belong to it; the fit is 1 where the bar lies just above or below its middle."""

    label: _Label
    bar: Bar
    fit: float

    @property
    def nm_per_px(self) -> float:
        return self.label.nm / self.bar.length_px

    @property
    def confidence(self) -> float:
        return self.label.confidence * self.fit


def read_scale_bar(pixels: npt.NDArray[np.float32]) -> PixelSize:
    """Return the pixel size that the scale bar in an image gives, or that it is unknown.

    The label must be a length alone on its line, such as ``200 nm``, and a bar must lie next to, above, below or around
    it: a solid bar, a line with or without end ticks, or Hitachi's row of eleven ticks. The confidence is that of the
    reading, lowered for lengths that scale bars seldom have, for bars far from the label or out of its middle, and
    where another bar would fit as well. Below 0.55 the pixel size is unknown.

    Parameters
    ----------
    pixels
        Shape (height, width), float32 in [0, 1], the data bar not cut off.
    """
    return weigh(_rejoined(read_text(pixels)), pixels)


def weigh(texts: Sequence[Text], pixels: npt.NDArray[np.float32]) -> PixelSize:
    """Return the pixel size that the best pair of label and bar gives, if it is sure enough."""
    labels = [label for text in texts if (label := _label(text))]
    if not labels:
        return PixelSize.unknown("no scale bar label was read in the picture")
    matches = sorted(
        (match for label in labels for match in _matches(label, texts, pixels)), key=lambda m: -m.confidence
    )
    if not matches:
        return PixelSize.unknown(f"no bar was found next to the label {labels[0].text.content!r}")
    best = matches[0]
    rival = max((match.confidence for match in matches if not _agree(match, best)), default=0.0)
    confidence = best.confidence * min(1.0, 1.5 - rival / best.confidence)
    detail = f"{best.label.text.content.strip()} over {best.bar.length_px:.1f} px"
    if confidence < _LEAST_CONFIDENCE:
        return PixelSize.unknown(f"the scale bar is unsure: {detail}, confidence {confidence:.2f}")
    return PixelSize(best.nm_per_px, "scale bar", detail, round(confidence, 3))


def _agree(first: _Match, second: _Match) -> bool:
    return abs(first.nm_per_px / second.nm_per_px - 1) <= _SAME


def _rejoined(texts: Sequence[Text]) -> list[Text]:
    """Join a number and the unit that follows it, where they were read as two lines."""
    whole = list(texts)
    for number, unit in product(texts, texts):
        gap = unit.left - number.right
        on_line = abs(number.top + number.bottom - unit.top - unit.bottom) < number.height
        if (
            number.content.strip().isdigit()
            and unit.content.strip()[:1] in "nuµμm"
            and on_line
            and 0 <= gap < number.height
        ):
            top, bottom = min(number.top, unit.top), max(number.bottom, unit.bottom)
            content, score = f"{number.content} {unit.content}", min(number.score, unit.score)
            whole.append(Text(content, top, number.left, bottom, unit.right, score))
    return whole


def _label(text: Text) -> _Label | None:
    """Read a line as the length a scale bar may stand for; None if it is none."""
    found = _LENGTH.fullmatch(text.content)
    if not found:
        return None
    value, unit = float(found[1].replace(",", ".")), found[2].lower().replace("µ", "u").replace("μ", "u")
    nm = length_nm(value, unit)
    low, high = _RANGES_NM[unit]
    if nm is None or not low <= nm <= high:
        return None
    digits = value / 10 ** math.floor(math.log10(value))
    usual = 1.0 if _near(digits, _USUAL) else 0.85 if _near(digits, _RARE) else 0.0
    return _Label(nm, text, text.score * usual) if usual else None


def _near(value: float, choices: Sequence[float]) -> bool:
    return any(math.isclose(value, choice) for choice in choices)


def _matches(label: _Label, texts: Sequence[Text], pixels: npt.NDArray[np.float32]) -> Iterator[_Match]:
    """Pair a label with the bars around it."""
    text, reach = label.text, _REACH * label.text.height
    bars = find_bars(pixels, max(0, int(text.top - reach)), min(len(pixels), int(text.bottom + reach) + 1))
    bars = [bar for bar in bars if not any(_is_stroke(bar, other, other is text) for other in texts)]
    ink = _ink(text, pixels)
    for bar in bars + list(_around(text, bars)):
        fit = _fit(text, bar) * _likeness(text, bar, ink)
        if fit > 0 and label.nm / bar.length_px <= _COARSEST_NM:
            yield _Match(label, bar, fit)


def _ink(text: Text, pixels: npt.NDArray[np.float32]) -> float:
    """Levels of 255 by which letters differ from the ground they stand on; negative where they are darker."""
    box = pixels[max(0, int(text.top)) : int(text.bottom), max(0, int(text.left)) : int(text.right)] * 255
    dark, ground, bright = np.percentile(box, (2, 50, 98))
    return float(bright - ground if box.mean() > ground else dark - ground)


def _likeness(text: Text, bar: Bar, ink: float) -> float:
    """How much a bar looks as if drawn with its label: in its colour, as clearly, and not shorter than a letter."""
    colour = 1.0 if bar.sign * ink > 0 else 0.7
    clearness = min(1.0, bar.contrast / (0.6 * abs(ink))) if ink else 1.0
    size = 1.0 if bar.width > _LETTER * text.height else 0.5
    return colour * clearness * size * min(1.0, bar.length_px / _PRECISE_PX)


def _is_stroke(bar: Bar, text: Text, own: bool) -> bool:
    """Tell whether a bar lies within a line of text as part of a letter; within its own label only if it is short."""
    middle = (bar.top + bar.bottom) / 2
    inside = text.top < middle < text.bottom and bar.left > text.left - 2 and bar.right < text.right + 2
    return inside and not (own and bar.width > _LETTER * text.height)


def _around(text: Text, bars: Sequence[Bar]) -> Iterator[Bar]:
    """Join what lies left and right of a label at its height to the line that it interrupts."""
    beside = [bar for bar in bars if text.top < (bar.top + bar.bottom) / 2 < text.bottom]
    for first, second in product(beside, beside):
        left, right = text.left - first.right, second.left - text.right
        alike = abs(first.top - second.top) <= 2 and 0.6 < first.width / second.width < 1.7
        if alike and all(-0.7 < gap / text.height < 1.5 for gap in (left, right)):
            yield join(first, second)


def _fit(text: Text, bar: Bar) -> float:
    """How well a bar lies to a label, from 1 to 0: distance in heights of the label, and offset from its middle."""
    above, below = text.top - bar.bottom, bar.top - text.bottom
    apart = max(above, below, 0) / text.height
    shift = abs(bar.left + bar.right - text.left - text.right) / 2
    overlap = min(bar.right, text.right) - max(bar.left, text.left)
    if overlap > 0 and bar.is_tick_row:
        return max(0.0, 1 - 0.2 * apart**2)  # Hitachi writes the label below the right end
    if overlap > 0:
        share = shift / (bar.right - bar.left + text.right - text.left)
        return max(0.0, 1 - 0.2 * apart**2 - 0.4 * share)
    aside = -overlap / text.height
    return max(0.0, 0.85 - 0.2 * aside - 0.2 * apart**2) if apart < 0.5 else 0.0
