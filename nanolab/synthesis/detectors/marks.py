"""What authors put on a micrograph for print: letters, bars, arrows, outlines, insets. All of it is background.

Marks are drawn after the detector, in grey, with a random stream of their own: an image without them stays the same.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal, get_args

import cv2
import numpy as np
from pydantic import Field

from nanolab.core.typing import FloatArray, Image, Mask
from nanolab.images.lengths import length_text, nice_length_nm
from nanolab.synthesis.detectors.databar import draw_over
from nanolab.synthesis.detectors.lettering import FACES, FONTS, Font, extent_px
from nanolab.synthesis.draws import Distribution, Model, NotNegative, Record, between, default
from nanolab.synthesis.noise import smooth_noise

__all__ = ["Lettering", "hidden_by", "write_over"]

Mark = Literal["panel", "bar", "caption", "note", "arrow", "outline", "inset", "frame"]
Shape = tuple[int, int]

# How often a kind is drawn, against the others.
_SHARES = {"panel": 5, "bar": 5, "caption": 2, "note": 1, "arrow": 1, "outline": 1, "inset": 1, "frame": 1}

# Ground and ink. None is no ground, or black or white, whichever stands out; grey is what colours become.
_PAPER: list[tuple[float | None, float | None]] = [
    (1, 0),
    (1, 0.2),
    (0, 1),
    *[(None, None)] * 8,
    (None, 1),
    (None, 0.7),
]
_PANELS = ("{}", "({})", "{})", "[{}]", "{}.", "{}1", "{}-2", "Fig. {}", "({}1)")
_NOTES = ("{:.2f} nm", "d = {:.2f} nm", "({:.0f}{:.0f}1)", "[{:.0f}10]", "{:.0f}\u00b0C", "t = {:.0f} min", "pH {:.0f}")
_LETTERS = "abcdefghiklmnoprstuxyzABCDEFGHMNOPSTXZ0123456789-/@_"


class Lettering(Model):
    """Marks of print on a share `probability` of images: `count` of them, of kinds drawn from `marks`.

    "panel" is the letter in a corner, "bar" a scale bar in one of many forms, "caption" a name or a condition along an
    edge, "note" a length or an index anywhere, "arrow" and "outline" point at things, "inset" is a small picture in a
    corner (a diffraction pattern, a chart), "frame" an edge of the page. `height` is that of capitals, as a part of
    the image's. Edges are softened by `blur_px`, and the whole is stored once more by JPEG of a `jpeg_quality`
    below 100. Whatever lies under a mark has no label.
    """

    probability: Annotated[float, Field(ge=0, le=1)] = 1.0
    marks: Annotated[list[Mark], Field(min_length=1)] = list(get_args(Mark))
    count: NotNegative = default([1, 5])
    height: Annotated[Distribution, between(0.01, 0.3)] = default(
        {"kind": "lognormal", "median": 0.05, "gsd": 1.5, "min": 0.02, "max": 0.13}
    )
    blur_px: NotNegative = default([0.0, 0.8])
    jpeg_quality: Annotated[Distribution, between(1, 100)] = default(
        {"kind": "mixture", "weights": [1, 1], "components": [100, [35, 95]]}
    )

    def draw(self, shape: Shape, pixel_size_nm: float, rng: np.random.Generator) -> Record | None:
        """Draw what one image has on it and where: None, or a record of `boxes`, `texts`, `strokes` and `insets`.

        Boxes and texts are as those of a data bar; a stroke is [points (x, y), width or 0 to fill, grey]; an inset is
        [top, left, bottom, right, what, seed].
        """
        if rng.random() >= self.probability:
            return None
        drawn = self.drawn(rng, "blur_px", "jpeg_quality")
        record: Record = {**drawn, "boxes": [], "texts": [], "strokes": [], "insets": []}
        (count,) = self.count.draw(rng, 1)
        once: set[str] = set()
        shares = np.array([_SHARES[mark] for mark in self.marks]) / sum(_SHARES[mark] for mark in self.marks)
        for mark in rng.choice(self.marks, max(round(float(count)), 0), p=shares).tolist():
            if mark in once and mark in ("panel", "bar", "frame", "inset"):
                continue
            once.add(mark)
            (height,) = self.height.draw(rng, 1)
            _DRAWN[mark](record, shape, max(float(height) * shape[0], 7.0), pixel_size_nm, rng)
        return record


def write_over(image: Image, record: Record) -> Image:
    """Return the image with a record's marks on it."""
    outstanding = 1.0 if image.mean() < 0.5 else 0.0
    both = _in_greys(record, outstanding), _in_greys(record, None, opaque=True)
    ink, opacity = (_softened(_inked(image.shape, one), record["blur_px"]) for one in both)
    marked = np.asarray(np.clip(image * (1 - opacity) + ink, 0, 1))
    if record["jpeg_quality"] == 100:
        return marked
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(record["jpeg_quality"])]
    _, coded = cv2.imencode(".jpg", np.rint(marked * 255).astype(np.uint8), quality)
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), dtype=np.float32) / np.float32(255)


def _softened(image: Image, blur_px: float) -> Image:
    # A smaller blur is none that pixels show.
    return np.asarray(cv2.GaussianBlur(image, (0, 0), blur_px)) if blur_px > 0.2 else image


def hidden_by(shape: Shape, record: Record) -> Mask:
    """Return where a record's marks hide the specimen, shape (height, width)."""
    return _inked(shape, _in_greys(record, None, opaque=True)) > 0.5


def _inked(shape: Any, record: Record) -> Image:
    """Return what the marks of a record without greys of None leave on black, shape (height, width)."""
    image = np.zeros(shape, dtype=np.float32)
    for top, left, bottom, right, what, seed in record["insets"]:
        image[top:bottom, left:right] = 1 if what == "opaque" else _PICTURES[what]((bottom - top, right - left), seed)
    image = draw_over(image, record)
    for points, width, grey in record["strokes"]:
        mask, fixed = np.zeros(shape, dtype=np.uint8), np.rint(np.array(points) * 16).astype(np.int32)
        if width:
            cv2.polylines(mask, [fixed], False, (255,), round(width), cv2.LINE_AA, shift=4)
        else:
            cv2.fillPoly(mask, [fixed], (255,), cv2.LINE_AA, shift=4)
        image += mask / np.float32(255) * (np.float32(grey) - image)
    return image


def _in_greys(record: Record, grey: float | None, *, opaque: bool = False) -> Record:
    """Return the record with a grey in place of None; with `opaque` everything white, so that it shows its opacity."""
    greys = {
        kind: [[*one, 1.0 if opaque else grey if own is None else own] for *one, own in record[kind]]
        for kind in ("boxes", "texts", "strokes")
    }
    return greys | {"insets": [[*one, "opaque" if opaque else what, seed] for *one, what, seed in record["insets"]]}


def _font(rng: np.random.Generator) -> Font:
    return FACES[rng.integers(len(FACES))]


def _paper(rng: np.random.Generator) -> tuple[float | None, float | None]:
    return _PAPER[rng.integers(len(_PAPER))]


def _corner(shape: Shape, size: Shape, margin: float, rng: np.random.Generator, low: float = 0.3) -> tuple[int, int]:
    """Return (top, left) of a thing of a size in a corner; `low` is the chance of a lower one."""
    down, right = rng.random() < low, rng.random() < 0.5
    top = shape[0] - size[0] - margin if down else margin
    return round(top), round(shape[1] - size[1] - margin if right else margin)


def _written(record: Record, text: str, place: tuple[int, int], height: float, rng: np.random.Generator) -> None:
    """Add a text at (top, left), in some font and paper."""
    font, (ground, ink) = _font(rng), _paper(rng)
    font = font if text.isascii() else "times"  # stroked letters know no degree sign
    high, wide = extent_px(text, height, font)
    if ground is not None:
        pad = round(rng.uniform(0.2, 0.8) * height)
        box = [place[0] - pad, place[1] - pad, place[0] + high + pad, place[1] + wide + pad]
        record["boxes"].append([*(max(side, 0) for side in box), ground])
    record["texts"].append([text, *place, height, font, ink])


def _panel(record: Record, shape: Shape, height: float, nm: float, rng: np.random.Generator) -> None:  # noqa: ARG001
    letter = str(rng.choice([*"abcdefghijklABCDEFGHIJKL", "i", "ii", "iii", "iv"]))
    text, height = str(rng.choice([*_PANELS[:3], *_PANELS])).format(letter), 1.3 * height
    left = rng.random() < 0.85
    margin = round(rng.uniform(-0.2, 1) * height)
    wide = extent_px(text, height, "sans")[1]
    _written(record, text, (margin, margin if left else shape[1] - wide - margin), height, rng)


def _word(rng: np.random.Generator) -> str:
    return "".join(rng.choice([*_LETTERS], rng.integers(2, 10)))


def _caption(record: Record, shape: Shape, height: float, nm: float, rng: np.random.Generator) -> None:  # noqa: ARG001
    text = " ".join(_word(rng) for _ in range(rng.integers(1, 4)))
    height *= rng.uniform(0.5, 1.0)
    size = extent_px(text, height, "sans")
    top, left = _corner(shape, size, rng.uniform(0.2, 1.5) * height, rng, 0.5)
    _written(record, text, (top, left if rng.random() < 0.7 else max((shape[1] - size[1]) // 2, 0)), height, rng)


def _note(record: Record, shape: Shape, height: float, nm: float, rng: np.random.Generator) -> None:  # noqa: ARG001
    text = str(rng.choice([*_NOTES, _word(rng)])).format(*rng.uniform(0.1, 9, 2))
    place = rng.integers(0, shape[0]), rng.integers(0, shape[1])
    _written(record, text, (int(place[0]), int(place[1])), 0.7 * height, rng)


def _bar(record: Record, shape: Shape, height: float, nm: float, rng: np.random.Generator) -> None:
    """A scale bar: a thick or thin line, ticks or arrows at its ends; its length above, below, next to it or in it."""
    length_nm = nice_length_nm(rng.uniform(0.08, 0.45) * shape[1] * nm, (1, 2, 3, 4, 5))
    long = max(round(length_nm / nm), 3)
    thick = max(round(min(rng.uniform(0.05, 0.7) * height, 0.3 * long)), 1)
    font, (ground, ink), gap = _font(rng), _paper(rng), round(rng.uniform(0.15, 0.7) * height)
    # Some fonts have no Greek letters.
    micro = "u" if font in (*FONTS, "heavy", "roman") else str(rng.choice(["u", "\u00b5", "\u03bc"]))
    text = length_text(length_nm, str(rng.choice([" ", ""])), micro)
    high, wide = extent_px(text, height, font)
    next_to, above = rng.random() < 0.1, rng.random() < 0.6
    size = (max(high, thick), long + gap + wide) if next_to else (high + gap + thick, max(long, wide))
    top, left = _corner(shape, size, rng.uniform(0.3, 2) * height, rng, 0.9)
    if ground is not None:
        box = [top - gap, left - gap, top + size[0] + gap, left + size[1] + gap]
        record["boxes"].append([*(max(side, 0) for side in box), ground])
    if next_to:
        bar, text_at = (top + (size[0] - thick) // 2, left), (top + (size[0] - high) // 2, left + long + gap)
    else:
        middle = left + (size[1] - wide) // 2
        bar = (top + (high + gap if above else 0), left + (size[1] - long) // 2)
        text_at = (top if above else top + thick + gap, middle)
    record["texts"].append([text, *text_at, height, font, ink])
    record["boxes"].append([bar[0], bar[1], bar[0] + thick, bar[1] + long, ink])
    ends = rng.choice(["plain", "ticks", "arrows"], p=[0.7, 0.2, 0.1])
    for x in (bar[1], bar[1] + long - 1) if ends == "ticks" else ():
        tick = round(0.3 * height)
        record["boxes"].append([bar[0] - tick, x, bar[0] + thick + tick, x + max(thick // 2, 1), ink])
    for x, towards in ((bar[1], 1), (bar[1] + long, -1)) if ends == "arrows" else ():
        y, reach = bar[0] + thick / 2, 0.4 * height + thick
        head = [[x, y], [x + towards * reach, y - 0.6 * reach], [x + towards * reach, y + 0.6 * reach]]
        record["strokes"].append([head, 0, ink])


def _arrow(record: Record, shape: Shape, height: float, nm: float, rng: np.random.Generator) -> None:  # noqa: ARG001
    """An arrow to anywhere, thin or a block; alone or a few alike."""
    long, width = height * rng.uniform(1, 4), height * rng.uniform(0.05, 0.25)
    head, wings = min(height * rng.uniform(0.4, 0.9), long), rng.uniform(1.5, 3.5)
    outline = np.array(
        [[0, 0], [-head, -wings / 2], [-head, -0.5], [-long, -0.5], [-long, 0.5], [-head, 0.5], [-head, wings / 2]]
    )
    outline[:, 1] *= width
    _, ink = _paper(rng)
    angle = rng.uniform(0, 2 * np.pi)
    for _ in range(rng.integers(1, 4)):
        turn = angle + rng.normal(0, 0.3)
        turned = outline @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        points = turned + rng.uniform((0, 0), shape[::-1])
        record["strokes"].append([points.round(2).tolist(), 0, ink])


def _outline(record: Record, shape: Shape, height: float, nm: float, rng: np.random.Generator) -> None:  # noqa: ARG001
    """A circle, an ellipse, a box or a line around or across something; whole or dashed."""
    middle, size = rng.uniform((0, 0), shape[::-1]), rng.uniform(0.04, 0.3, 2) * shape[1]
    angles = np.linspace(0, 2 * np.pi, 97)
    curve = {
        "ellipse": np.column_stack([np.cos(angles), np.sin(angles)]),
        "box": _square(97),
        "line": np.linspace(-1, 1, 97)[:, None] * rng.choice([-1, 1], 2),
    }[str(rng.choice(["ellipse", "box", "line"]))]
    points = (middle + curve * size).round(2)
    _, ink = _paper(rng)
    width = max(round(0.06 * height * rng.uniform(0.5, 2)), 1)
    dash = int(rng.choice([96, 96, 2, 4]))
    for start in range(0, 96, dash if dash == 96 else 2 * dash):
        record["strokes"].append([points[start : start + dash + 1].tolist(), width, ink])


def _square(count: int) -> FloatArray:
    """Points (count, 2) around the square of corners at -1 and 1."""
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]], dtype=float)
    return np.column_stack([np.interp(np.linspace(0, 4, count), range(5), side) for side in corners.T])


def _inset(record: Record, shape: Shape, height: float, nm: float, rng: np.random.Generator) -> None:  # noqa: ARG001
    side = round(rng.uniform(0.18, 0.4) * min(shape))
    size = (side, side) if rng.random() < 0.6 else (side, round(side * rng.uniform(1, 1.5)))
    top, left = _corner(shape, size, round(rng.choice([0, 0, 0.02]) * shape[0]), rng, 0.5)
    _, ink = _PAPER[rng.integers(3)]
    if rng.random() < 0.5:  # a frame
        rim = int(rng.integers(1, 4))
        record["insets"].append([top, left, top + size[0], left + size[1], "plain", round(float(ink or 0))])
        top, left, size = top + rim, left + rim, (size[0] - 2 * rim, size[1] - 2 * rim)
    what = str(rng.choice(["spots", "rings", "chart"]))
    record["insets"].append([top, left, top + size[0], left + size[1], what, int(rng.integers(2**31))])


def _frame(record: Record, shape: Shape, height: float, nm: float, rng: np.random.Generator) -> None:  # noqa: ARG001
    """The page around the image, or a neighbouring panel's edge, on some of its sides."""
    width, grey = round(rng.uniform(0.1, 0.8) * height), float(rng.choice([0, 1, 1]))
    sides = [[0, 0, width, shape[1]], [shape[0] - width, 0, *shape], [0, 0, shape[0], width]]
    sides.append([0, shape[1] - width, *shape])
    chosen = rng.random(4) < rng.choice([0.25, 0.5, 1])
    record["boxes"][:0] = [[*side, grey] for side, has in zip(sides, chosen, strict=True) if has]


_DRAWN: dict[str, Callable[[Record, Shape, float, float, np.random.Generator], None]] = {
    "panel": _panel,
    "bar": _bar,
    "caption": _caption,
    "note": _note,
    "arrow": _arrow,
    "outline": _outline,
    "inset": _inset,
    "frame": _frame,
}


def _polar(shape: Shape) -> tuple[Image, Image, Image]:
    """Return x, y and the distance from the middle, in halves of the smaller side."""
    y, x = (np.linspace(-1, 1, side, dtype=np.float32) * side / min(shape) for side in shape)
    return x, y[:, None], np.hypot(x, y[:, None])


def _spots(shape: Shape, seed: int) -> Image:
    """A diffraction pattern of a crystal: a lattice of spots that fade outwards."""
    rng = np.random.default_rng(seed)
    x, y, r = _polar(shape)
    angle, pitch, width = rng.uniform(0, np.pi), rng.uniform(0.12, 0.4), rng.uniform(0.012, 0.04)
    first, second = (np.array([np.cos(a), np.sin(a)]) / pitch for a in (angle, angle + rng.uniform(1.0, 1.6)))
    off = [np.abs((u := x * v[0] + y * v[1]) - np.rint(u)) * pitch for v in (first, second)]
    spots = np.exp(-(off[0] ** 2 + off[1] ** 2) / width**2) * np.exp(-((r / rng.uniform(0.4, 1)) ** 2))
    glow = rng.uniform(0.1, 0.5) * np.exp(-((r / 0.3) ** 2))
    return np.clip(rng.uniform(0, 0.15) + glow + spots + 0.03 * rng.standard_normal(shape), 0, 1).astype(np.float32)


def _rings(shape: Shape, seed: int) -> Image:
    """A diffraction pattern of many crystals: rings, some of them grainy."""
    rng = np.random.default_rng(seed)
    _, _, r = _polar(shape)
    rings = sum(
        rng.uniform(0.2, 1) * np.exp(-(((r - at) / rng.uniform(0.01, 0.04)) ** 2)) for at in rng.uniform(0.2, 1, 4)
    )
    rings = rings * np.maximum(1 + rng.uniform(0, 1) * smooth_noise(shape, 2, rng), 0)
    return np.clip(0.08 + np.exp(-((r / 0.15) ** 2)) + 0.7 * rings, 0, 1).astype(np.float32)


def _chart(shape: Shape, seed: int) -> Image:
    """A histogram of sizes, or a profile, in black on white."""
    rng = np.random.default_rng(seed)
    image, count = np.ones(shape, dtype=np.float32), int(rng.integers(5, 14))
    left, low, grey = int(0.15 * shape[1]), int(0.85 * shape[0]), rng.uniform(0, 0.7)
    bars = np.exp(-(((np.arange(count) - count * rng.uniform(0.3, 0.6)) / (0.22 * count)) ** 2)) * rng.uniform(
        0.7, 1, count
    )
    step = (0.95 * shape[1] - left) / count
    for k, bar in enumerate(bars):
        x = left + k * step
        image[low - int(bar * 0.72 * shape[0]) : low, int(x) + 1 : int(x + step * rng.uniform(0.7, 1)) + 1] = grey
    image[low : low + 1, left:] = image[int(0.05 * shape[0]) : low, left : left + 1] = 0
    return image


def _plain(shape: Shape, seed: int) -> Image:
    return np.full(shape, min(seed, 1), dtype=np.float32)


_PICTURES: dict[str, Callable[[Shape, int], Image]] = {
    "spots": _spots,
    "rings": _rings,
    "chart": _chart,
    "plain": _plain,
}
