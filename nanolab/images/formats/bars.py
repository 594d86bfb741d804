"""Scale bars as shapes: solid bars, lines with or without end ticks, and rows of ticks; measured below a pixel."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

__all__ = ["Bar", "find_bars", "join"]

_THRESHOLDS = range(30, 241, 15)  # of 255 levels; a bar of any grey stands out at some of them
_SHORTEST_PX = 12
_THICKEST = 0.34  # of the length
_CONTRAST = 30.0  # levels between a bar and everything around it
_UNEVEN = 0.15  # of that contrast: how much the grey of a bar may vary along it
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


def find_bars(pixels: Levels, first: int, last: int) -> list[Bar]:
    """Find what may be a scale bar in some rows of an image.

    Parameters
    ----------
    pixels
        Shape (height, width), float32 in [0, 1].
    first, last
        Rows to search; `last` is exclusive.
    """
    start = max(0, first - _SURROUNDINGS_PX)
    levels = pixels[start : last + _SURROUNDINGS_PX] * np.float32(255)
    return [
        replace(bar, top=bar.top + start, bottom=bar.bottom + start)
        for bar in _find(levels, first - start, last - start)
    ]


def _find(levels: Levels, first: int, last: int) -> list[Bar]:
    found: list[Bar] = []
    for mask, sign in _masks(levels[first:last]):
        rows, starts, ends = _runs(mask)
        long_enough = (ends - starts >= _SHORTEST_PX) & (starts > 0) & (ends < mask.shape[1])
        for top, bottom, left, right in _rectangles(rows[long_enough], starts[long_enough], ends[long_enough]):
            bar = _measured(levels, first + top, first + bottom, left, right, sign)
            found += [bar] if bar else []
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


def _measured(levels: Levels, top: int, bottom: int, left: int, right: int, sign: int) -> Bar | None:
    """Measure the bar of which a rectangle is the core; None where that does not stand out evenly on both sides."""
    above, below = levels[max(0, top - 4) : max(0, top - 1)], levels[bottom + 1 : bottom + 4]
    if not (len(above) and len(below)):
        return None
    rows, sides = levels[top:bottom].mean(axis=0), np.stack([above.mean(axis=0), below.mean(axis=0)])
    margin = (right - left) // 8
    core = slice(left + margin, right - margin)
    level, contrast = float(np.median(rows[core])), float(np.median(sign * (rows - sides)[:, core], axis=1).min())
    if contrast < _CONTRAST or float(np.std(rows[core])) > _UNEVEN * contrast:
        return None
    relief = (sign * (rows - sides)).max(axis=0)  # from one side, because the other may be text
    relief /= np.median(relief[core])
    first, last = (_flank(relief, (left + right) // 2, step) for step in (-1, 1))
    if first is None or last is None or last - first < _SHORTEST_PX:
        return None
    ink = sign * (rows - level) > -contrast / 2
    if _beyond(ink, first, -1).all() or _beyond(ink, last, 1).all():
        return None  # it runs into something alike: an arrow head, a particle
    ticks = _tick(levels, top, bottom, first, sign * contrast), _tick(levels, top, bottom, last, sign * contrast)
    return Bar(top, bottom, (first, last), ticks, sign, contrast)


def _beyond(row: npt.NDArray[np.bool_], flank: float, step: int) -> npt.NDArray[np.bool_]:
    """Pixels past an end of a bar, as far as a tick could reach."""
    start = int(flank) + 2 * step
    return row[start : start + _TICK_WIDTH_PX] if step > 0 else row[max(0, start - _TICK_WIDTH_PX) : max(0, start)]


def _flank(relief: Levels, middle: int, step: int) -> float | None:
    """Column at which a bar ends on one side: half its relief is gone, and does not come back within three pixels."""
    outwards = relief[middle::step]
    low = outwards < 0.5
    ends = np.flatnonzero(low[:-2] & low[1:-1] & low[2:])
    if len(ends) == 0 or ends[0] == 0:
        return None
    inside, outside = float(outwards[ends[0] - 1]), float(outwards[ends[0]])
    part = min(1.0, (inside - 0.5) / (inside - outside)) if inside > 0.5 else 0.0
    return middle + 0.5 + step * (int(ends[0]) - 1 + part)  # the middle of column c is at c + 0.5


def _tick(levels: Levels, top: int, bottom: int, flank: float, contrast: float) -> float | None:
    """Column of the middle of a tick across the end of a line, above or below it; None if there is none."""
    end = int(flank)
    first = max(0, end - _TICK_WIDTH_PX)
    for rows in (slice(max(0, top - 4), max(0, top - 1)), slice(bottom + 1, bottom + 4)):
        strip = levels[rows, first : end + _TICK_WIDTH_PX + 1]
        if strip.size == 0:
            continue
        ink = (strip.mean(axis=0) - float(np.median(strip))) / contrast
        if ink.max() > 0.4 and (ink > 0.4).sum() <= _TICK_WIDTH_PX:
            ink = np.where(ink > 0.2, ink, 0)
            middle = float(first + 0.5 + (ink * np.arange(len(ink))).sum() / ink.sum())
            return middle if abs(middle - flank) <= _TICK_WIDTH_PX / 2 else None
    return None


def _tick_rows(rows: npt.NDArray[np.intp], middles: npt.NDArray[np.float64], sign: int) -> list[Bar]:
    """Find short runs at exactly eleven equal steps, alike in several rows below each other."""
    growing: list[Bar] = []
    for row in np.unique(rows):
        columns = middles[rows == row]
        if not _TICK_COUNT <= len(columns) <= 5 * _TICK_COUNT:
            continue
        for ends in _progressions(columns):
            above = next((bar for bar in growing if bar.bottom == row and _alike(bar.flanks, ends)), None)
            if above is not None:
                growing.remove(above)
            growing.append(
                Bar(int(row) if above is None else above.top, int(row) + 1, ends, ends, sign, _TICK_CONTRAST)
            )
    return [bar for bar in growing if bar.bottom - bar.top >= _TICK_ROWS]


def _alike(first: tuple[float, float], second: tuple[float, float]) -> bool:
    return max(abs(first[0] - second[0]), abs(first[1] - second[1])) <= _SLACK_PX


def _progressions(columns: npt.NDArray[np.float64]) -> Iterator[tuple[float, float]]:
    """First and last of eleven columns at equal steps that do not go on beyond them."""
    for index, start in enumerate(columns):
        for following in columns[index + 1 : index + 4]:
            step = following - start
            if step < _TICK_STEP_PX:
                continue
            wanted = start + step * np.arange(-1, _TICK_COUNT + 1)
            nearest = columns[np.abs(columns[None] - wanted[:, None]).argmin(axis=1)]
            hit = np.abs(nearest - wanted) <= 1 + 0.02 * np.abs(wanted - start)
            if hit[1:-1].all() and not hit[0] and not hit[-1]:
                yield float(start), float(nearest[-2])


def _distinct(bars: list[Bar]) -> list[Bar]:
    """Of bars found at several thresholds at one place keep the one that stands out most."""
    kept: list[Bar] = []
    for bar in sorted(bars, key=lambda bar: -bar.contrast):
        near = (
            abs(bar.top - other.top) <= 3 and abs(bar.left - other.left) <= 4 and abs(bar.right - other.right) <= 4
            for other in kept
        )
        if not any(near):
            kept.append(bar)
    return kept
