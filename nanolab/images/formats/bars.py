"""Scale bars as shapes: solid bars, lines with or without end ticks, and rows of ticks; measured below a pixel."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

__all__ = ["Bar", "find_bars", "join"]

_THRESHOLDS = range(30, 241, 20)  # of 255 levels; a bar of any grey stands out at some of them
_SHORTEST_PX = 12
_THICKEST = 0.45  # of the length
_CONTRAST = 30.0  # levels between a bar and everything around it
_UNEVEN, _MOST_UNEVEN = 0.15, 0.35  # of that contrast: how much the grey of a bar may vary along it, and at most
_BLUR_PX = 2  # over which an end may be blurred
_END_CONTRAST, _BEYOND_PX = 0.3, 4  # of that contrast, between a bar and so many columns beyond its ends
_THICKEST_WITH_TICKS_PX, _TICK_INK = 6, 0.6  # of a line with ticks; of the line's contrast in its ticks
_TICK_EDGE = 0.2  # of that contrast: what is paler is no tick any more
_SURROUNDINGS_PX = 6  # rows looked at above and below those searched
_SLACK_PX = 2  # by which the ends of a bar's rows may differ
_TICK_COUNT = 11  # ten intervals, as Hitachi draws them
_TICK_WIDTH_PX, _TICK_STEP_PX, _TICK_ROWS = 6, 4, 3  # widest, closest and shortest
_TICK_CONTRAST = 256.0  # that of eleven ticks in a row, which are no accident

Levels = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Bar:
    """A shape that may be a scale bar.

    Attributes
    ----------
    top, bottom
        Its rows; `bottom` is exclusive.
    flanks
        Columns where it begins and ends, half-way up its flanks, in pixels from the image's left edge.
    ticks
        Columns of the middle of its end ticks, None where an end has none.
    sign
        1 if it is brighter than its surroundings, -1 if it is darker.
    contrast
        Levels of 255 between it and its surroundings.
    """

    top: int
    bottom: int
    flanks: tuple[float, float]
    ticks: tuple[float | None, float | None]
    sign: int
    contrast: float

    @property
    def left(self) -> float:
        """Column where the length begins."""
        return self.flanks[0]

    @property
    def right(self) -> float:
        """Column where the length ends."""
        return self.flanks[1]

    @property
    def is_tick_row(self) -> bool:
        """Whether it is a row of ticks without a line."""
        return self.contrast == _TICK_CONTRAST

    @property
    def width(self) -> float:
        """Extent in pixels, ticks included."""
        return self.right - self.left

    @property
    def length_px(self) -> float:
        """Length in pixels: from tick to tick, else from flank to flank."""
        first, last = self.ticks
        return self.width if first is None or last is None else last - first


def join(first: Bar, second: Bar) -> Bar:
    """Return the bar of which `first` and `second` are the pieces left and right of a label."""
    flanks, ticks = (first.flanks[0], second.flanks[1]), (first.ticks[0], second.ticks[1])
    contrast = min(first.contrast, second.contrast)
    return Bar(min(first.top, second.top), max(first.bottom, second.bottom), flanks, ticks, first.sign, contrast)


def find_bars(pixels: Levels, first: int, last: int, columns: tuple[float, float] = (0, float("inf"))) -> list[Bar]:
    """Find what may be a scale bar in some rows of an image.

    Parameters
    ----------
    pixels
        Shape (height, width), float32 in [0, 1].
    first, last
        Rows to search; `last` is exclusive.
    columns
        A bar reaches into these, at least.
    """
    start = max(0, first - _SURROUNDINGS_PX)
    levels = pixels[start : last + _SURROUNDINGS_PX] * np.float32(255)
    return [
        replace(bar, top=bar.top + start, bottom=bar.bottom + start)
        for bar in _find(levels, first - start, last - start, columns)
    ]


def _find(levels: Levels, first: int, last: int, columns: tuple[float, float]) -> list[Bar]:
    found: list[Bar] = []
    seen: set[tuple[int, int, int, int, int]] = set()
    for mask, sign in _masks(levels[first:last]):
        rows, starts, ends = _runs(mask)
        long_enough = (ends - starts >= _SHORTEST_PX) & (starts > 0) & (ends < mask.shape[1])
        long_enough &= (starts < columns[1]) & (ends > columns[0])
        for top, bottom, left, right in _rectangles(rows[long_enough], starts[long_enough], ends[long_enough]):
            place = first + top, first + bottom, int(left), int(right), sign
            if place not in seen and _stands_out(levels, *place):
                bar = _measured(levels, *place)
                found += [bar] if bar else []
            seen.add(place)
        rows, starts, ends = _runs(mask[1:] & mask[:-1])  # of noise little is left
        short = ends - starts <= _TICK_WIDTH_PX
        found += _tick_rows(rows[short] + first, (starts + ends)[short] / 2, sign)
    return _distinct(found)


def _masks(levels: Levels) -> Iterator[tuple[npt.NDArray[np.bool_], int]]:
    """What is brighter, then what is darker than each threshold; the sign is that of bar minus surroundings."""
    for threshold in _THRESHOLDS:
        yield levels >= threshold, 1
        yield levels <= 255 - threshold, -1


def _runs(mask: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Rows, first columns and end columns of all horizontal runs in a mask, row by row."""
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(edges == 1)
    return rows, starts, np.nonzero(edges == -1)[1]


def _rectangles(rows: Iterable[int], starts: Iterable[int], ends: Iterable[int]) -> list[tuple[int, int, int, int]]:
    """Join runs below each other that begin and end alike to (top, bottom, left, right)."""
    growing: list[list[int]] = []
    done: list[list[int]] = []
    for row, start, end in zip(rows, starts, ends, strict=True):
        done += [rectangle for rectangle in growing if rectangle[1] < row]
        growing = [rectangle for rectangle in growing if rectangle[1] >= row]
        for rectangle in growing:
            if rectangle[1] == row and max(abs(rectangle[2] - start), abs(rectangle[3] - end)) <= _SLACK_PX:
                rectangle[1] = row + 1
                break
        else:
            growing.append([row, row + 1, start, end])
    return [(top, bottom, x0, x1) for top, bottom, x0, x1 in done + growing if bottom - top <= _THICKEST * (x1 - x0)]


def _stands_out(levels: Levels, top: int, bottom: int, left: int, right: int, sign: int) -> bool:
    """Tell from a few columns whether a rectangle is worth measuring: most are texture."""
    columns = slice(left + _BLUR_PX, right - _BLUR_PX, max(1, (right - left) // 16))
    inside, outside = (
        levels[(top + bottom) // 2, columns],
        levels[max(0, top - 3) : bottom + 3 : bottom - top + 5, columns],
    )
    contrast = float((sign * (inside.mean() - outside.mean(axis=1))).min())
    return contrast > _CONTRAST / 2 and float(np.ptp(inside)) < 3 * _MOST_UNEVEN * contrast


def _measured(levels: Levels, top: int, bottom: int, left: int, right: int, sign: int) -> Bar | None:
    """Measure the bar that a rectangle is; None where it does not stand out evenly on all four sides."""
    above, below = levels[max(0, top - 4) : max(0, top - 1)], levels[bottom + 1 : bottom + 4]
    around = [side.mean(axis=0) for side in (above, below) if len(side)]  # one where the image ends
    if not around:
        return None
    rows, sides = sign * levels[top:bottom].mean(axis=0), sign * np.stack(around)
    core = slice(left + _BLUR_PX, right - _BLUR_PX)
    level, contrast = float(np.median(rows[core])), float(np.median((rows - sides)[:, core], axis=1).min())
    off = np.abs(rows[core] - level)
    if contrast < _CONTRAST or off.std() > _UNEVEN * contrast or off.max() > _MOST_UNEVEN * contrast:
        return None
    outlined = len(around) == 2  # at the image's edge it may be the ground between two ticks
    first = _flank(rows[::-1], len(rows) - left, level, contrast, outlined=outlined)
    last = _flank(rows, right, level, contrast, outlined=outlined)
    if first is None or last is None:
        return None
    ends = len(rows) - first, last
    return Bar(top, bottom, ends, _ticks(levels, top, bottom, ends, sign * contrast), sign, contrast)


def _flank(rows: Levels, end: int, level: float, contrast: float, *, outlined: bool) -> float | None:
    """Where a bar ends near column `end`, half-way down to what lies beyond it; None if that is too like the bar."""
    start = min(end + _BLUR_PX, len(rows) - 1)
    beyond = float(np.median(rows[start : start + _BEYOND_PX]))
    if outlined and level - beyond < max(_CONTRAST, _END_CONTRAST * contrast):
        beyond = float(rows[end : start + 1].min())  # an outline is narrower
    if level - beyond < max(_CONTRAST, _END_CONTRAST * contrast):
        return None  # it runs into something alike: an arrow head, a particle
    half = (level + beyond) / 2
    near = range(end - _BLUR_PX - 1, min(end + _BLUR_PX, len(rows) - 1))
    for column in near:
        inside, outside = float(rows[column]), float(rows[column + 1])
        if inside >= half > outside:
            return column + 0.5 + (inside - half) / (inside - outside)  # the middle of column c is at c + 0.5
    return None


def _ticks(
    levels: Levels, top: int, bottom: int, ends: tuple[float, float], contrast: float
) -> tuple[float | None, float | None]:
    """Columns of the middles of ticks across the ends of a line, above or below it; None where there is none."""
    if bottom - top > _THICKEST_WITH_TICKS_PX:
        return None, None
    sides = levels[max(0, top - 4) : max(0, top - 1)], levels[bottom + 1 : bottom + 4]
    found = [tuple(_tick(side, end, contrast) for end in ends) for side in sides]
    first, last = min(found, key=lambda ticks: ticks.count(None))
    return first, last


def _tick(strip: Levels, end: float, contrast: float) -> float | None:
    """Column of the middle of a tick in a strip of rows, at an end of the line next to it."""
    start = max(0, int(end) - _TICK_WIDTH_PX)
    around = strip[:, start : int(end) + _TICK_WIDTH_PX + 1]
    if around.size == 0:
        return None
    ink = (around.mean(axis=0) - float(np.median(around))) / contrast
    near = slice(max(0, int(end) - start - _TICK_WIDTH_PX // 2), int(end) - start + _TICK_WIDTH_PX // 2 + 1)
    peak = near.start + int(np.argmax(ink[near]))
    if ink[peak] < _TICK_INK or (ink > _TICK_INK / 2).sum() > _TICK_WIDTH_PX:
        return None
    pale = np.flatnonzero(ink <= _TICK_EDGE)  # what lies beyond is something else: the edge of a box
    first, last = pale[pale < peak].max(initial=-1) + 1, pale[pale > peak].min(initial=len(ink))
    columns = np.arange(first, last)
    middle = float(start + 0.5 + np.average(columns, weights=ink[first:last]))
    return middle if abs(middle - end) <= _TICK_WIDTH_PX / 2 else None


def _tick_rows(rows: npt.NDArray[np.intp], middles: npt.NDArray[np.float64], sign: int) -> list[Bar]:
    """Find short runs at exactly eleven equal steps; each row of runs stands for itself and the next."""
    growing: list[Bar] = []
    for row in np.unique(rows):
        columns = middles[rows == row]
        if not _TICK_COUNT <= len(columns) <= 5 * _TICK_COUNT:
            continue
        for ends in _progressions(columns):
            above = next((bar for bar in growing if bar.bottom == row + 1 and _alike(bar.flanks, ends)), None)
            if above is not None:
                growing.remove(above)
            growing.append(
                Bar(int(row) if above is None else above.top, int(row) + 2, ends, ends, sign, _TICK_CONTRAST)
            )
    return [bar for bar in growing if bar.bottom - bar.top >= _TICK_ROWS]


def _alike(first: tuple[float, float], second: tuple[float, float]) -> bool:
    return max(abs(first[0] - second[0]), abs(first[1] - second[1])) <= _SLACK_PX


def _progressions(columns: npt.NDArray[np.float64]) -> Iterator[tuple[float, float]]:
    """First and last of eleven columns at equal steps that do not go on beyond them."""
    listed = columns.tolist()
    for index, start in enumerate(listed):
        for following in listed[index + 1 : index + 4]:
            step = following - start
            last, slack = start + (_TICK_COUNT - 1) * step, 1 + 0.02 * (_TICK_COUNT - 1) * step
            after = bisect_left(listed, last - slack)
            if step < _TICK_STEP_PX or after == len(listed) or listed[after] > last + slack:
                continue
            wanted = start + step * np.arange(-1, _TICK_COUNT + 1)
            nearest = columns[np.abs(columns[None] - wanted[:, None]).argmin(axis=1)]
            hit = np.abs(nearest - wanted) <= 1 + 0.02 * np.abs(wanted - start)
            even = np.linspace(nearest[1], nearest[-2], _TICK_COUNT)
            if hit[1:-1].all() and not hit[0] and not hit[-1] and np.abs(nearest[1:-1] - even).max() <= 1:
                yield float(start), float(nearest[-2])


def _distinct(bars: list[Bar]) -> list[Bar]:
    """Of bars found at several thresholds at one place keep the one that stands out most."""
    kept: list[Bar] = []
    for bar in sorted(bars, key=lambda bar: -bar.contrast):
        near = (
            bar.sign == other.sign
            and abs(bar.top - other.top) <= 3
            and abs(bar.left - other.left) <= 4
            and abs(bar.right - other.right) <= 4
            for other in kept
        )
        if not any(near):
            kept.append(bar)
    return kept
