"""What lies under and between the particles: textures of the substrate and dirt, as relative signal.

Each layer adds to a map that is 0 for a clean, smooth substrate; -0.2 is a spot whose signal is 20 % lower. Values are
drawn into a record first and rendered from it, so that a record replays the picture.
"""

from typing import Annotated, Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from nanolab.synth.draws import Distribution, Fraction, Model, NotNegative, Positive

__all__ = [
    "Blobs",
    "Grain",
    "Outlines",
    "Relief",
    "Specks",
    "SubstrateLayer",
    "draw_substrate",
    "octave_noise",
    "render_substrate",
    "smooth_noise",
]

Image = npt.NDArray[np.float32]
Record = dict[str, Any]


class _Layer(Model):
    """`probability` is the chance that an image has the layer; `coverage` the part of the image it lies on."""

    probability: Annotated[float, Field(ge=0, le=1)] = 1.0
    coverage: Fraction = Field(default=1.0, validate_default=True)
    amplitude: Distribution

    def draw(self, rng: np.random.Generator) -> Record:
        """Draw every value of the layer for one image."""
        random = [name for name in type(self).model_fields if name not in ("kind", "probability")]
        drawn = {name: float(getattr(self, name).draw(rng, 1)[0]) for name in random}
        return {"kind": self.kind, "seed": int(rng.integers(2**31)), **drawn}  # type: ignore[attr-defined]


class Grain(_Layer):
    """Cloudy or grainy contrast: octave noise of largest feature `scale_nm`; `roughness` weighs the fine octaves."""

    kind: Literal["grain"] = "grain"
    scale_nm: Positive
    roughness: Fraction = Field(default=0.5, validate_default=True)


class Relief(_Layer):
    """A wrinkled or rough film seen under a tilt: the slope of octave noise along a random direction."""

    kind: Literal["relief"] = "relief"
    scale_nm: Positive
    roughness: Fraction = Field(default=0.5, validate_default=True)


class Outlines(_Layer):
    """Thin curved lines, as rims of dried residue: level lines of smooth noise, `width_nm` wide."""

    kind: Literal["outlines"] = "outlines"
    scale_nm: Positive
    width_nm: Positive


class Blobs(_Layer):
    """Soft spots, `per_um2` of them, of diameter `size_nm`: stains, pits, thin residue."""

    kind: Literal["blobs"] = "blobs"
    size_nm: Positive
    per_um2: NotNegative


class Specks(_Layer):
    """Small spots with sharper edges, `per_um2` of them, of diameter `size_nm`: dust that is not a particle."""

    kind: Literal["specks"] = "specks"
    size_nm: Positive
    per_um2: NotNegative


SubstrateLayer = Annotated[Grain | Relief | Outlines | Blobs | Specks, Field(discriminator="kind")]


def draw_substrate(layers: list[Any], rng: np.random.Generator) -> list[Record]:
    """Draw which layers an image has, and every value in them."""
    return [layer.draw(rng) for layer in layers if rng.random() < layer.probability]


def render_substrate(records: list[Record], shape: tuple[int, int], pixel_size_nm: float) -> Image:
    """Return the relative change of the substrate's signal, shape (height, width), 0 where it is clean."""
    total = np.zeros(shape, dtype=np.float32)
    for record in records:
        rng = np.random.default_rng(record["seed"])
        texture = _RENDER[record["kind"]](record, shape, pixel_size_nm, rng)
        total += np.float32(record["amplitude"]) * texture * _patches(shape, record["coverage"], rng)
    return total


def smooth_noise(shape: tuple[int, int], scale_px: float, rng: np.random.Generator) -> Image:
    """Return noise of mean 0 and SD 1 whose features are about `scale_px` wide: a cubic through random knots."""
    height, width = shape
    scale_px = max(scale_px, 1.0)
    knots = rng.standard_normal((int(height / scale_px) + 4, int(width / scale_px) + 4), dtype=np.float32)
    offset = rng.uniform(0, 1, 2)
    # The map from pixel to knot is one affine step; the knots' own grid must not show at fixed places.
    step = np.array([[1 / scale_px, 0, 1 + offset[0]], [0, 1 / scale_px, 1 + offset[1]]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    noise = cv2.warpAffine(knots, step, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT)
    # Interpolation between independent knots lowers the variance; 0.8 is the cubic's mean gain.
    return np.asarray(noise / np.float32(0.8))


def octave_noise(shape: tuple[int, int], scale_px: float, roughness: float, rng: np.random.Generator) -> Image:
    """Return noise of SD about 1: octaves from `scale_px` down to two pixels, each `roughness` times the one before."""
    total, power, weight = np.zeros(shape, dtype=np.float32), 0.0, 1.0
    while True:
        total += np.float32(weight) * smooth_noise(shape, scale_px, rng)
        power += weight**2
        scale_px, weight = scale_px / 2, weight * roughness
        if scale_px < 2 or weight < 0.02:
            return total / np.float32(np.sqrt(power))


def _patches(shape: tuple[int, int], coverage: float, rng: np.random.Generator) -> Image | np.float32:
    """Return a soft mask of random patches that cover about the given part of the image."""
    if coverage >= 1:
        return np.float32(1)
    noise = smooth_noise(shape, 0.25 * max(shape), rng)
    level = np.quantile(noise[::8, ::8], 1 - coverage)
    return np.clip((noise - level) / np.float32(0.4) + np.float32(0.5), 0, 1)


def _grain(record: Record, shape: tuple[int, int], pixel_size_nm: float, rng: np.random.Generator) -> Image:
    return octave_noise(shape, record["scale_nm"] / pixel_size_nm, record["roughness"], rng)


def _relief(record: Record, shape: tuple[int, int], pixel_size_nm: float, rng: np.random.Generator) -> Image:
    surface = octave_noise(shape, record["scale_nm"] / pixel_size_nm, record["roughness"], rng)
    angle = rng.uniform(0, 2 * np.pi)
    down, right = np.gradient(surface)
    slope = np.float32(np.cos(angle)) * right + np.float32(np.sin(angle)) * down
    return np.asarray(slope / np.float32(slope.std() + 1e-9))


def _outlines(record: Record, shape: tuple[int, int], pixel_size_nm: float, rng: np.random.Generator) -> Image:
    surface = octave_noise(shape, record["scale_nm"] / pixel_size_nm, 0.35, rng)
    down, right = np.gradient(surface)
    slope = np.sqrt(down**2 + right**2) + np.float32(1e-6)
    width_px = np.float32(max(record["width_nm"] / pixel_size_nm, 0.7))
    # The distance to a level line is the difference in level over the slope; where the ground is flat it is no line.
    distance = np.abs(surface - np.float32(rng.normal())) / slope
    lines = np.exp(-((distance / width_px) ** 2))
    broken = np.clip(smooth_noise(shape, record["scale_nm"] / pixel_size_nm, rng) + np.float32(0.3), 0, 1)
    return np.asarray(lines * broken, dtype=np.float32)


def _spots(
    record: Record, shape: tuple[int, int], pixel_size_nm: float, rng: np.random.Generator, *, hard: float
) -> Image:
    """Return round spots of height 1 whose profile is exp(-r^hard)."""
    height, width = shape
    count = rng.poisson(record["per_um2"] * height * width * pixel_size_nm**2 * 1e-6)
    spots = np.zeros(shape, dtype=np.float32)
    for row, column, spread, squash, angle in zip(
        rng.uniform(0, height, count),
        rng.uniform(0, width, count),
        rng.uniform(0.5, 1.5, count),
        rng.uniform(0.5, 1, count),
        rng.uniform(0, np.pi, count),
        strict=True,
    ):
        radius = max(spread * record["size_nm"] / pixel_size_nm / 2, 0.7)
        reach = int(np.ceil(2.5 * radius))
        top, left = max(int(row) - reach, 0), max(int(column) - reach, 0)
        window = spots[top : int(row) + reach + 1, left : int(column) + reach + 1]
        y, x = np.ogrid[top : top + window.shape[0], left : left + window.shape[1]]
        along = (x - column) * np.cos(angle) + (y - row) * np.sin(angle)
        across = (y - row) * np.cos(angle) - (x - column) * np.sin(angle)
        distance = np.sqrt(along**2 + (across / squash) ** 2) / radius
        np.maximum(window, np.exp(-(distance**hard)).astype(np.float32), out=window)
    return spots


def _blobs(record: Record, shape: tuple[int, int], pixel_size_nm: float, rng: np.random.Generator) -> Image:
    return _spots(record, shape, pixel_size_nm, rng, hard=2)


def _specks(record: Record, shape: tuple[int, int], pixel_size_nm: float, rng: np.random.Generator) -> Image:
    return _spots(record, shape, pixel_size_nm, rng, hard=6)


_RENDER = {"grain": _grain, "relief": _relief, "outlines": _outlines, "blobs": _blobs, "specks": _specks}
