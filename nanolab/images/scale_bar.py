"""The pixel size from a scale bar in the picture: its label is read, its length measured, and both are weighed."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise, product

import numpy as np
import numpy.typing as npt

from nanolab.images.formats.bars import Bar, find_bars, join
from nanolab.images.formats.ocr import Text, read_corners, read_line, read_text
from nanolab.images.formats.vendors import length_nm
from nanolab.images.pixel_size import PixelSize

__all__ = ["read_lines", "read_scale_bar", "weigh", "weigh_bars"]

_UNITS = {"nm": "nm", "um": "um", "µm": "um", "μm": "um", "mm": "mm"}
_MISREAD = {"pm": "um", "rm": "nm", "rim": "nm", "nim": "nm"}  # of small letters
_UNIT = "|".join((*_UNITS, *_MISREAD))
_LENGTH = re.compile(rf"(\W*(\d+(?:[.,]\d+)?)\s*({_UNIT})\W*)(\s[A-Z]{{2,8}}\W*)?", re.IGNORECASE)
_NO_BAR = re.compile(r"\s(HFW|VFW|HFOV|FOV|FW|WD)\b", re.IGNORECASE)  # what another length in a data bar is called
_WORD = re.compile(r"[A-Za-z0-9]{2}")  # what is read of a bar alone is a dash, an arrow, a T or a Chinese character
_UNIT_LAST = re.compile(rf"({_UNIT}|[nuµμm]\sm)\W*$", re.IGNORECASE)
_RANGES_NM = {"nm": (1, 1000), "um": (100, 1e6), "mm": (1e5, 5e6)}  # of lengths that scale bars have in each unit
_USUAL, _RARE = (1.0, 2.0, 2.5, 5.0), (1.5, 3.0, 3.5, 4.0, 6.0, 7.0, 7.5, 8.0)  # first digits of such lengths
_LEAST_CONFIDENCE = 0.7
_CONFIDENCES, _SHARES_RIGHT = (0.7, 0.8, 0.9), (0.94, 0.98, 0.995)  # see _share_right
_REACH = 2.0  # heights of the label between it and its bar
_OUTLINE_PX, _FRAME_SHARE = 3, 0.8  # widest line around a bar; what bar and frame share of the shorter one's length
_TICK_PX = 3  # half the width of an end tick
_BETWEEN = 0.5  # of a label's height: what stands out further is not between the ends of a line, but over them
_LETTERS_FOOT = 0.6  # of a label's width: what is shorter, above or below its letters, is a part of them
_SMALLEST_LABEL = 0.3  # of the height of a box that it shares with its bar
_LETTER = 0.75  # of a label's height: the widest stroke in it
_PRECISE_PX = 24.0  # length of a bar whose ends, found within a quarter of a pixel each, are sure within 2 %
_COARSEST_NM = 2e4  # a pixel of the widest field of a scanning electron microscope
_PICTURE_NM = (5.0, 1e7)  # the width of a picture, from a few lattice planes to the field of a stereo microscope
_ASIDE = 4.5  # heights of the label between it and a bar at its side
_SAME_GREY = 0.02  # of full scale
_SAME = 0.03  # lengths that differ by less are one length


@dataclass(frozen=True)
class _Label:
    """A length in the picture: in nm, where it stands, and how sure it is (0 to 1)."""

    nm: float
    text: Text
    confidence: float


@dataclass(frozen=True)
class _Match:
    """A label and the bar that may belong to it.

    The fit is 1 where the bar lies just above or below its middle and looks alike, the ends are 1 where its length is
    sure.
    """

    label: _Label
    bar: Bar
    fit: float
    ends: float

    @property
    def nm_per_px(self) -> float:
        return self.label.nm / self.bar.length_px

    @property
    def belonging(self) -> float:
        return self.label.confidence * self.fit

    @property
    def confidence(self) -> float:
        return self.belonging * self.ends


def read_scale_bar(pixels: npt.NDArray[np.float32]) -> PixelSize:
    """Return the pixel size that the scale bar in an image gives, or that it is unknown.

    The label must be a length alone on its line, such as ``200 nm``, and a bar must lie next to, above, below or around
    it: a solid bar, a line with or without end ticks, or Hitachi's row of eleven ticks. How sure that is, is how sure
    the reader is, less for lengths that scale bars seldom have, for bars far from the label or out of its middle, for
    ends that are unsure, and where another bar would fit as well. Below 0.7 the pixel size is unknown. The confidence
    told is the share of such readings that were right within 2 % on drawn bars.

    Parameters
    ----------
    pixels
        Shape (height, width), float32 in [0, 1], the data bar not cut off.
    """
    return weigh(read_lines(pixels), pixels)


def read_lines(pixels: npt.NDArray[np.float32]) -> list[Text]:
    """Return the lines of text in a picture; read again without a margin, then in the corners, if none is a length.

    Each reading stands alone: what one takes for letters may be the bar of another's label.
    """
    first = read_text(pixels)
    for read in (lambda _: first, partial(read_text, margin_px=0), read_corners):
        texts = read(pixels)
        if any(_label(text) for text in _rejoined(texts)):
            return texts
    return first


def weigh(texts: Sequence[Text], pixels: npt.NDArray[np.float32]) -> PixelSize:
    """Return the pixel size that the best pair of label and bar gives, if it is sure enough."""
    return weigh_bars(texts, pixels)[0]


def weigh_bars(texts: Sequence[Text], pixels: npt.NDArray[np.float32]) -> tuple[PixelSize, Bar | None]:
    """Return the pixel size as `weigh` does, and the bar that it is from; None where that is unknown."""
    found = list(_labels(texts, pixels))
    if not found:
        return PixelSize.unknown("no scale bar label was read in the picture"), None
    words = [text for text in texts if _WORD.search(text.content) and not _UNIT_LAST.search(text.content)]
    words += [label.text for label, _ in found]
    matches = [match for label, bars in found for match in _matches(label, bars, words, pixels)]
    matches.sort(key=lambda match: -match.confidence)
    if not matches:
        return PixelSize.unknown(f"no bar was found next to the label {found[0][0].text.content!r}"), None
    best = matches[0]
    rival = max((match.belonging for match in matches if not _agree(match, best)), default=0.0)
    confidence = best.confidence * float(np.clip(1.5 - rival / best.confidence, 0, 1))
    detail = f"{best.label.text.content.strip()} over {best.bar.length_px:.1f} px"
    if confidence < _LEAST_CONFIDENCE:
        return PixelSize.unknown(f"the scale bar is unsure: {detail}, confidence {confidence:.2f}"), None
    return PixelSize(best.nm_per_px, "scale bar", detail, _share_right(confidence)), best.bar


def _share_right(confidence: float) -> float:
    """Return how many of such readings were right on drawn bars; above 0.8 none of 292 was wrong."""
    return round(float(np.interp(confidence, _CONFIDENCES, _SHARES_RIGHT)), 3)


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
            and 0 <= gap < 3 * number.height
        ):
            top, bottom = min(number.top, unit.top), max(number.bottom, unit.bottom)
            content, score = f"{number.content} {unit.content}", min(number.score, unit.score)
            whole.append(Text(content, top, number.left, bottom, unit.right, score))
    return whole


def _labels(texts: Sequence[Text], pixels: npt.NDArray[np.float32]) -> Iterator[tuple[_Label, list[Bar]]]:
    """Lengths among lines of text, each with the bars around it."""
    for text in _rejoined(texts):
        if _UNIT_LAST.search(text.content) or _label(text):
            bars = _bars_near(text, pixels)
            if label := _label(_without_bar(text, bars, pixels)):
                yield label, bars


def _label(text: Text) -> _Label | None:
    """Read a line as the length a scale bar may stand for; None if it is none."""
    found = _LENGTH.fullmatch(text.content)
    if not found or _NO_BAR.search(text.content):
        return None
    if found[4]:  # a word after it, such as the name of the laboratory
        text = replace(text, right=text.left + (text.right - text.left) * len(found[1]) / len(text.content))
    value, spelled = float(found[2].replace(",", ".")), found[3].lower()
    unit = _UNITS.get(spelled) or _MISREAD[spelled]
    nm = length_nm(value, unit)
    low, high = _RANGES_NM[unit]
    if nm is None or not low <= nm <= high or (spelled == "pm" and value >= 1):  # 500 pm may be 500 nm
        return None
    digits = value / 10 ** math.floor(math.log10(value))
    usual = 1.0 if _near(digits, _USUAL) else 0.85 if _near(digits, _RARE) else 0.0
    usual *= 1.0 if spelled in _UNITS else 0.9
    return _Label(nm, text, text.score * usual) if usual else None


def _near(value: float, choices: Sequence[float]) -> bool:
    return any(math.isclose(value, choice) for choice in choices)


def _matches(
    label: _Label, near: Sequence[Bar], words: Sequence[Text], pixels: npt.NDArray[np.float32]
) -> Iterator[_Match]:
    """Pair a label with the bars around it."""
    text = label.text
    bars = [bar for bar in near if not any(_is_stroke(bar, word) for word in words)]
    bars = [bar for bar in bars if not any(_is_frame(bar, other) for other in bars)]
    ink = _ink(text, pixels)
    low, high = (width / pixels.shape[1] for width in _PICTURE_NM)
    whole = list(_around(text, bars))
    pieces = [bar for bar in bars if any(bar.left == each.left or bar.right == each.right for each in whole)]
    for bar in whole + [bar for bar in bars if bar not in pieces]:
        fit = _fit(text, bar) * _likeness(text, bar, ink, boxed=_is_box_filling(text, bar, pixels))
        if fit > 0 and low <= label.nm / bar.length_px <= min(high, _COARSEST_NM):
            yield _Match(label, bar, fit, _sureness_of_ends(bar))


def _bars_near(text: Text, pixels: npt.NDArray[np.float32]) -> list[Bar]:
    reach, aside = _REACH * text.height, _ASIDE * text.height
    rows = max(0, int(text.top - reach)), min(len(pixels), int(text.bottom + reach) + 1)
    return find_bars(pixels, *rows, (text.left - aside, text.right + aside))


def _without_bar(text: Text, near: Sequence[Bar], pixels: npt.NDArray[np.float32]) -> Text:
    """Take a bar out of the box of a line, and read again what stood next to it: the tick of ``|-| 5 um`` is no 1."""
    wide = [bar for bar in near if bar.width > _LETTER * text.height and not bar.is_tick_row]
    inside = [bar for bar in wide if _is_stroke(bar, text)]
    if not inside:
        return text
    widest = max(inside, key=lambda bar: bar.width)
    rest = _largest_rest(text, widest)
    if rest.height < text.height and widest.width < _LETTERS_FOOT * (text.right - text.left):
        return text
    if min(rest.height, rest.right - rest.left) < _SMALLEST_LABEL * text.height:
        return replace(text, content="")
    if rest.right - rest.left >= text.right - max(0.0, text.left):
        return rest  # only rows were cut off: no letter was
    rows, columns = slice(int(rest.top), int(rest.bottom) + 1), slice(int(rest.left), int(rest.right) + 1)
    content, score = read_line(pixels[rows, columns])
    return replace(rest, content=content, score=score)


def _largest_rest(text: Text, bar: Bar) -> Text:
    """Return what of a box is left or right of a bar in it, or between its ends above or below it."""
    left, right = max(0.0, text.left), text.right
    if None not in bar.ticks and max(bar.left - left, right - bar.right) < _BETWEEN * text.height:
        left, right = max(left, bar.left + _TICK_PX), min(right, bar.right - _TICK_PX)
    rests = [
        replace(text, left=max(0.0, text.left), right=bar.left - _TICK_PX),
        replace(text, left=bar.right + _TICK_PX),
        replace(text, left=left, right=right, bottom=bar.top - 1),
        replace(text, left=left, right=right, top=bar.bottom + 1),
    ]
    rests = [replace(rest, top=max(0.0, rest.top)) for rest in rests]
    return max(rests, key=lambda rest: max(0.0, rest.height) * max(0.0, rest.right - rest.left))


def _ink(text: Text, pixels: npt.NDArray[np.float32]) -> float:
    """Levels of 255 by which letters differ from the ground; negative where they are darker.

    They are the extreme that the rows above or below them lack: the bar lies on one side only, and particles on all.
    """
    half, left, right = text.height / 2, max(0, int(text.left)), int(text.right)
    edges = [max(0, round(edge)) for edge in (text.top - half, text.top, text.bottom, text.bottom + half)]
    strips = [pixels[first:last, left:right] * 255 for first, last in pairwise(edges)]
    (dark, ground, bright), *around = (
        np.percentile(strip, (2, 50, 98)) for strip in strips[1::-1] + strips[2:] if strip.size
    )
    over = bright - min((sides[2] for sides in around), default=ground)
    under = max((sides[0] for sides in around), default=ground) - dark
    return float(bright - ground if over + bright - ground > under + ground - dark else dark - ground)


def _is_box_filling(text: Text, bar: Bar, pixels: npt.NDArray[np.float32]) -> bool:
    """Tell whether a bar is as grey as the box that its label stands on."""
    box, inside = (
        np.median(pixels[max(0, int(top)) : int(bottom), max(0, int(left)) : int(right)])
        for top, left, bottom, right in (
            (text.top, text.left, text.bottom, text.right),
            (bar.top, bar.left, bar.bottom, bar.right),
        )
    )
    return bool(abs(box - inside) <= _SAME_GREY)


def _likeness(text: Text, bar: Bar, ink: float, *, boxed: bool) -> float:
    """How much a bar looks as if drawn with its label: in its colour, as clearly, and not shorter than a letter."""
    colour = 1.0 if bar.sign * ink > 0 or boxed else 0.7
    clearness = min(1.0, bar.contrast / (0.6 * abs(ink))) if ink else 1.0
    size = 1.0 if bar.width > _LETTER * text.height else 0.5
    return colour * clearness * size


def _sureness_of_ends(bar: Bar) -> float:
    """Halve what is known of a line with a tick at one end: where the other one is, it runs into something."""
    return (0.5 if bar.ticks.count(None) == 1 else 1.0) * min(1.0, bar.length_px / _PRECISE_PX) ** 2


def _is_stroke(bar: Bar, text: Text) -> bool:
    """Tell whether a bar lies within a line of text: part of a letter, or read as if it were one."""
    middle = (bar.top + bar.bottom) / 2
    return text.top < middle < text.bottom and bar.left > text.left - 2 and bar.right < text.right + 2


def _is_frame(bar: Bar, other: Bar) -> bool:
    """Tell whether a bar is part of the outline of what lies between two, or of the box in which a clearer one is."""
    apart = max(bar.top - other.bottom, other.top - bar.bottom)
    if bar.sign == other.sign:
        ends = max(abs(bar.left - other.left), abs(bar.right - other.right))
        thick = max(bar.bottom - bar.top, other.bottom - other.top)
        return 0 < apart <= 4 * _OUTLINE_PX and ends <= _OUTLINE_PX and thick <= _OUTLINE_PX
    shared = min(bar.right, other.right) - max(bar.left, other.left)
    touches = apart <= _OUTLINE_PX and shared > _FRAME_SHARE * min(bar.width, other.width)
    clearer = other.contrast > bar.contrast and not _is_outline(other, bar)
    return touches and (clearer or _is_outline(bar, other))


def _is_outline(bar: Bar, other: Bar) -> bool:
    return all(0 <= gap <= 2 * _OUTLINE_PX for gap in (other.left - bar.left, bar.right - other.right))


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
    return max(0.0, 0.9 - 0.05 * aside - 0.2 * apart**2) if apart < 0.5 else 0.0
