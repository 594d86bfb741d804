"""Where microscopes and figures put their scale bar and what they write next to it."""

from collections.abc import Callable
from typing import Any

import numpy as np

from nanolab.images.lengths import length_text, nice_length_nm
from nanolab.synthesis.detectors.lettering import FONTS, Font, extent_px
from nanolab.synthesis.draws import Record

__all__ = ["LAYOUTS"]

_BLACK, _WHITE = 0.0, 1.0

# Box and letters in figures; without a box the letters are black or white, whichever stands out.
_PAPER: list[tuple[float | None, float | None]] = [
    (_WHITE, _BLACK),
    (_BLACK, _WHITE),
    (None, None),
    (None, None),
    (None, None),
]


def _bar(shape: tuple[int, int], pixel_size_nm: float, rng: np.random.Generator) -> tuple[float, int]:
    """Return a length in nm that suits the image, and in pixels."""
    digits = ((1, 2, 5), (1, 2, 3, 4, 5), (1, 2, 5))[rng.integers(3)]
    length_nm = nice_length_nm(rng.uniform(0.15, 0.35) * shape[1] * pixel_size_nm, digits)
    return length_nm, max(round(length_nm / pixel_size_nm), 1)


def _record(length_nm: float, boxes: list[list[Any]], texts: list[list[Any]]) -> Record:
    return {
        "scale_bar": {"length_nm": length_nm, "length_px": boxes[-1][3] - boxes[-1][1]},
        "boxes": boxes,
        "texts": texts,
    }


def _conditions(rng: np.random.Generator) -> dict[str, str]:
    """Operating conditions that might stand on a micrograph; they say nothing about this one."""
    month = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")[rng.integers(12)]
    return {
        "kv": f"{rng.choice([1, 2, 3, 5, 10, 15, 20, 30]):.2f} kV",
        "wd": f"{rng.uniform(2, 12):.1f} mm",
        "mag": f"{rng.uniform(5, 300):.2f} K X",
        "signal": str(rng.choice(["InLens", "SE2", "SE(M)", "ETD", "TLD"])),
        "date": f"{rng.integers(1, 29)} {month} {rng.integers(2005, 2026)}",
        "time": f"{rng.integers(0, 24)}:{rng.integers(0, 60):02d}:{rng.integers(0, 60):02d}",
    }


def _strip(shape: tuple[int, int], low: float, high: float, rng: np.random.Generator) -> tuple[int, int]:
    """Return the top row and the height of a strip along the lower edge."""
    height = int(np.clip(round(rng.uniform(low, high) * shape[0]), 10, 120))
    return shape[0] - height, height


def _zeiss(shape: tuple[int, int], pixel_size_nm: float, rng: np.random.Generator) -> Record:
    """A strip with the bar at its left and two lines of conditions in columns."""
    top, height = _strip(shape, 0.07, 0.11, rng)
    ground, ink = ((_WHITE, _BLACK), (_BLACK, _WHITE))[rng.integers(2)]
    length_nm, length_px = _bar(shape, pixel_size_nm, rng)
    says, font, text_px = _conditions(rng), _font(rng), 0.26 * height
    left, row = round(0.03 * shape[1]), [top + round(0.14 * height), top + round(0.58 * height)]
    bar_row = top + round(0.7 * height)
    thick = max(1, round(0.05 * height))
    ends = [[bar_row - 3 * thick, x, bar_row + 4 * thick, x + thick, ink] for x in (left, left + length_px - thick)]
    texts: list[list[Any]] = [[length_text(length_nm), row[0], left, text_px, font, ink]]
    columns = [[f"EHT = {says['kv']}", f"WD = {says['wd']}"], [f"Signal A = {says['signal']}", f"Mag = {says['mag']}"]]
    columns.append([f"Date :{says['date']}", f"Time :{says['time']}"])
    x = max(left + length_px, left + extent_px(length_text(length_nm), text_px, font)[1]) + round(0.05 * shape[1])
    for column in columns:
        wide = max(extent_px(text, text_px, font)[1] for text in column)
        if x + wide > shape[1]:
            break
        texts += [[text, y, x, text_px, font, ink] for text, y in zip(column, row, strict=True)]
        x += wide + round(0.04 * shape[1])
    bar = [bar_row, left, bar_row + thick, left + length_px, ink]
    return _record(length_nm, [[top, 0, *shape, ground], *ends, bar], texts)


def _thermo(shape: tuple[int, int], pixel_size_nm: float, rng: np.random.Generator) -> Record:
    """A black strip: names above values, divided by lines; at the right a line broken by its length."""
    top, height = _strip(shape, 0.05, 0.08, rng)
    says, font, text_px = _conditions(rng), _font(rng), 0.3 * height
    length_nm, length_px = _bar(shape, pixel_size_nm, rng)
    boxes: list[list[Any]] = [[top, 0, *shape, _BLACK]]
    texts: list[list[Any]] = []
    x = round(0.02 * shape[1])
    right = shape[1] - round(0.03 * shape[1])
    entries = [
        ("HV", says["kv"]),
        ("mag", f"{rng.integers(5, 400)} 000 x"),
        ("WD", says["wd"]),
        ("det", says["signal"]),
    ]
    for name, value in entries:
        wide = max(extent_px(text, text_px, font)[1] for text in (name, value))
        if x + wide + round(0.05 * shape[1]) > right - length_px:
            break  # no room left next to the bar
        texts += [[name, top + round(0.12 * height), x, text_px, font, _WHITE]]
        texts += [[value, top + round(0.56 * height), x, text_px, font, _WHITE]]
        x += wide + round(0.02 * shape[1])
        boxes.append([top, x - round(0.01 * shape[1]), shape[0], x - round(0.01 * shape[1]) + 1, _WHITE])
    row = top + round(0.3 * height)
    text = length_text(length_nm)
    text_height, text_width = extent_px(text, text_px, font)
    middle = right - length_px // 2
    under = row + round(0.25 * height)
    texts.append([text, under, middle - text_width // 2, text_px, font, _WHITE])
    boxes += [
        [row - text_height // 2, x, row + text_height // 2 + 1, x + 1, _WHITE] for x in (right - length_px, right - 1)
    ]
    boxes.append([row, right - length_px, row + 1, right, _WHITE])
    return _record(length_nm, boxes, texts)


def _hitachi(shape: tuple[int, int], pixel_size_nm: float, rng: np.random.Generator) -> Record:
    """A black strip with one line of conditions, and a bar of dots whose ends are its length apart."""
    top, height = _strip(shape, 0.04, 0.07, rng)
    says, font, text_px = _conditions(rng), _font(rng), 0.42 * height
    length_nm, length_px = _bar(shape, pixel_size_nm, rng)
    right, dot = shape[1] - round(0.03 * shape[1]), max(1, round(0.06 * height))
    row = top + round(0.12 * height)
    ticks: list[list[Any]] = []
    for k in range(11):
        x = right - length_px + round(k * (length_px - dot) / 10)
        ticks.append([row, x, row + round((0.3 if k % 5 == 0 else 0.18) * height), x + dot, _WHITE])
    text = length_text(length_nm, "")
    text_width = extent_px(text, text_px, font)[1]
    line = f"S4800 {says['kv'].replace(' ', '')} {says['wd'].replace(' ', '')} x{rng.uniform(5, 300):.1f}k SE(M)"
    texts = [
        [line, top + round(0.48 * height), round(0.01 * shape[1]), text_px, font, _WHITE],
        [text, top + round(0.48 * height), right - text_width, text_px, font, _WHITE],
    ]
    if extent_px(line, text_px, font)[1] + text_width > 0.9 * shape[1]:
        texts.pop(0)
    whole = [row, right - length_px, row + 1, right, _WHITE]
    return _record(length_nm, [[top, 0, *shape, _BLACK], *ticks, whole], texts)


def _jeol(shape: tuple[int, int], pixel_size_nm: float, rng: np.random.Generator) -> Record:
    """A line of conditions on the image itself, the bar above its length at the right."""
    font, text_px = _font(rng), rng.uniform(0.022, 0.035) * shape[0]
    length_nm, length_px = _bar(shape, pixel_size_nm, rng)
    says, ink = _conditions(rng), _WHITE
    text, row = length_text(length_nm, ""), shape[0] - round(2.0 * text_px)
    right = shape[1] - round(0.03 * shape[1])
    line = f"SEI {says['kv']}  X{rng.integers(5, 300)},000"
    thick = max(1, round(0.12 * text_px))
    bar = [row - round(0.7 * text_px), right - length_px, row - round(0.7 * text_px) + thick, right, ink]
    width = extent_px(text, text_px, font)[1]
    texts = [
        [line, row, round(0.03 * shape[1]), text_px, font, ink],
        [text, row, right - length_px // 2 - width // 2, text_px, font, ink],
    ]
    return _record(length_nm, [bar], texts)


def _figure(shape: tuple[int, int], pixel_size_nm: float, rng: np.random.Generator) -> Record:
    """A scale bar with its length above or below in a corner, some in a box; often a panel letter in another."""
    font, text_px = _font(rng), rng.uniform(0.025, 0.06) * shape[0]
    length_nm, length_px = _bar(shape, pixel_size_nm, rng)
    ground, ink = _PAPER[rng.integers(len(_PAPER))]
    text, margin = length_text(length_nm, str(rng.choice([" ", ""]))), round(rng.uniform(0.02, 0.05) * shape[1])
    text_height, text_width = extent_px(text, text_px, font)
    thick, pad = max(1, round(rng.uniform(0.1, 0.5) * text_px)), round(0.5 * text_px)
    wide, high = max(length_px, text_width), text_height + pad + thick
    left = margin if rng.random() < 0.4 else shape[1] - margin - wide
    top = shape[0] - margin - high
    boxes: list[list[Any]] = []
    if ground is not None:
        boxes.append([top - pad, left - pad, top + high + pad, left + wide + pad, ground])
    text_top, bar_top = (top, top + text_height + pad) if rng.random() < 0.7 else (top + thick + pad, top)
    texts: list[list[Any]] = [[text, text_top, left + (wide - text_width) // 2, text_px, font, ink]]
    if rng.random() < 0.5:
        _panel_letter(shape, boxes, texts, rng)
    bar = left + (wide - length_px) // 2
    return _record(length_nm, [*boxes, [bar_top, bar, bar_top + thick, bar + length_px, ink]], texts)


def _panel_letter(
    shape: tuple[int, int], boxes: list[list[Any]], texts: list[list[Any]], rng: np.random.Generator
) -> None:
    letter = str(rng.choice(list("abcdefABCDEF")))
    text = str(rng.choice(["{}", "({})", "{})", "[{}]"])).format(letter)
    height, (ground, ink) = rng.uniform(0.04, 0.09) * shape[0], _PAPER[rng.integers(len(_PAPER))]
    font, margin = _font(rng), round(rng.uniform(0.01, 0.04) * shape[1])
    high, wide = extent_px(text, height, font)
    if ground is not None:
        boxes.append([0, 0, high + 2 * margin, wide + 2 * margin, ground])
    texts.append([text, margin, margin, height, font, ink])


def _font(rng: np.random.Generator) -> Font:
    return FONTS[rng.integers(len(FONTS))]


LAYOUTS: dict[str, Callable[[tuple[int, int], float, np.random.Generator], Record]] = {
    "zeiss": _zeiss,
    "thermo": _thermo,
    "hitachi": _hitachi,
    "jeol": _jeol,
    "figure": _figure,
}
