"""The pixel size from a scale bar in the picture: its label is read, its length measured, and both are weighed."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import numpy.typing as npt

from nanolab.images.formats.bars import Bar, find_bars, join
from nanolab.images.formats.ocr import Text, read_line, read_text
from nanolab.images.formats.vendors import length_nm
from nanolab.images.pixel_size import PixelSize

__all__ = ["read_scale_bar", "weigh"]

_LENGTH = re.compile(r"(\W*(\d+(?:[.,]\d+)?)\s*([nuµμm]m)\W*)(\s[A-Z]{2,8}\W*)?", re.IGNORECASE)
_NO_BAR = re.compile(r"\s(HFW|VFW|HFOV|FOV|FW|WD)\b", re.IGNORECASE)  # what another length in a data bar is called
_UNIT_LAST = re.compile(r"[nuµμm]\s?m\W*$", re.IGNORECASE)
_RANGES_NM = {"nm": (1, 1000), "um": (100, 1e6), "mm": (1e5, 5e6)}  # of lengths that scale bars have in each unit
_USUAL, _RARE = (1.0, 2.0, 2.5, 5.0), (1.5, 3.0, 3.5, 4.0, 6.0, 7.0, 7.5, 8.0)  # first digits of such lengths
_LEAST_CONFIDENCE = 0.55
_REACH = 2.0  # heights of the label between it and its bar
_TICK_PX = 3  # half the width of an end tick
_LETTER = 0.75  # of a label's height: the widest stroke in it
_PRECISE_PX = 20.0  # length of a bar whose ends, found within half a pixel each, are sure within 5 %
_COARSEST_NM = 2e4  # a pixel of the widest field of a scanning electron microscope
_PICTURE_NM = (5.0, 1e7)  # the width of a picture, from a few lattice planes to the field of a stereo microscope
_ASIDE = 4.5  # heights of the label between it and a bar at its side
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
    texts = [_without_bar(text, pixels) for text in read_text(pixels)]
    return weigh(_rejoined(texts), pixels)


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
    if not found or _NO_BAR.search(text.content):
        return None
    if found[4]:  # a word after it, such as the name of the laboratory
        text = replace(text, right=text.left + (text.right - text.left) * len(found[1]) / len(text.content))
    value, unit = float(found[2].replace(",", ".")), found[3].lower().replace("µ", "u").replace("μ", "u")
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
    text = label.text
    bars = [bar for bar in _bars_near(text, pixels) if not any(_is_stroke(bar, other) for other in texts)]
    ink = _ink(text, pixels)
    low, high = (width / pixels.shape[1] for width in _PICTURE_NM)
    for bar in bars + list(_around(text, bars)):
        fit = _fit(text, bar) * _likeness(text, bar, ink)
        if fit > 0 and low <= label.nm / bar.length_px <= min(high, _COARSEST_NM):
            yield _Match(label, bar, fit)


def _bars_near(text: Text, pixels: npt.NDArray[np.float32]) -> list[Bar]:
    reach, aside = _REACH * text.height, _ASIDE * text.height
    rows = max(0, int(text.top - reach)), min(len(pixels), int(text.bottom + reach) + 1)
    return find_bars(pixels, *rows, (text.left - aside, text.right + aside))


def _without_bar(text: Text, pixels: npt.NDArray[np.float32]) -> Text:
    """Read a line again without the bar in its box: the tick of ``|-| 5 um`` would be taken for a 1."""
    if not _UNIT_LAST.search(text.content):
        return text
    inside = [bar for bar in _bars_near(text, pixels) if _is_stroke(bar, text) and bar.width > _LETTER * text.height]
    if not inside:
        return text
    bar = max(inside, key=lambda bar: bar.width)
    sides = (text.left, bar.left - _TICK_PX), (bar.right + _TICK_PX, text.right)
    left, right = max(sides, key=lambda side: side[1] - side[0])
    columns, rows = slice(max(0, int(left)), int(right) + 1), slice(max(0, int(text.top)), int(text.bottom) + 1)
    if right - left < text.height:
        return replace(text, content="")
    content, score = read_line(pixels[rows, columns])
    return Text(content, text.top, left, text.bottom, right, score)


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


def _is_stroke(bar: Bar, text: Text) -> bool:
    """Tell whether a bar lies within a line of text: part of a letter, or read as if it were one."""
    middle = (bar.top + bar.bottom) / 2
    return text.top < middle < text.bottom and bar.left > text.left - 2 and bar.right < text.right + 2


def _around(text: Text, bars: Sequence[Bar]) -> Iterator[Bar]:
    """Join what lies left and right of a label at its height to the line that it interrupts."""
    beside = [bar for bar in bars if text.top < (bar.top + bar.bottom) / 2 < text.bottom]
    for first, second in product(beside, beside):
        left, right = text.left - first.right, second.left - text.right
        alike = (
            first.sign == second.sign and abs(first.top - second.top) <= 2 and 0.6 < first.width / second.width < 1.7
        )
        long = min(first.width, second.width) > _LETTER * text.height  # of grains any two gaps are alike
        if alike and long and all(-0.7 < gap / text.height < 1.5 for gap in (left, right)):
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
