"""What lies on a substrate and is no particle: residue, stains, dust, smears."""

from typing import ClassVar, Literal

import numpy as np

from nanolab.core.typing import Image
from nanolab.synthesis.draws import Distribution, Fraction, NotNegative, Positive, Record, default
from nanolab.synthesis.noise import fractal_noise, octave_noise, smooth_noise, streaky_noise
from nanolab.synthesis.substrates.layer import Layer, PatchyLayer, depth_in_discs, filled, rim

__all__ = ["Blobs", "Contamination", "Drops", "Outlines", "Smears", "Specks"]


class Outlines(PatchyLayer):
    """Thin curved lines, `width_nm` wide, as rims of dried residue: level lines of noise of up to `scale_nm`."""

    kind: Literal["outlines"] = "outlines"
    scale_nm: Positive
    width_nm: Positive

    @staticmethod
    def texture(record: Record, shape: tuple[int, int], pixel_size_nm: float, rng: np.random.Generator) -> Image:
        """Broken lines of height up to 1."""
        surface = octave_noise(shape, record["scale_nm"] / pixel_size_nm, 0.35, rng)
        down, right = np.gradient(surface)
        slope = np.sqrt(down**2 + right**2) + np.float32(1e-6)
        width_px = np.float32(max(record["width_nm"] / pixel_size_nm, 0.7))
        # The distance to a level line is the difference in level over the slope; where it is flat it is no line.
        distance = np.abs(surface - np.float32(rng.normal())) / slope
        lines = np.exp(-((distance / width_px) ** 2))
        broken = np.clip(smooth_noise(shape, record["scale_nm"] / pixel_size_nm, rng) + np.float32(0.3), 0, 1)
        return np.asarray(lines * broken, dtype=np.float32)


class _Spots(PatchyLayer):
    """Round spots of height 1, `per_um2` of them, of diameter `size_nm`, whose profile is exp(-r^`HARD`)."""

    HARD: ClassVar[float]

    size_nm: Positive
    per_um2: NotNegative

    @classmethod
    def texture(cls, record: Record, shape: tuple[int, int], pixel_size_nm: float, rng: np.random.Generator) -> Image:
        """Return the spots."""
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
            np.maximum(window, np.exp(-(distance**cls.HARD)).astype(np.float32), out=window)
        return spots


class Blobs(_Spots):
    """Soft spots, `per_um2` of them, of diameter `size_nm`: stains, pits, thin residue."""

    HARD: ClassVar[float] = 2

    kind: Literal["blobs"] = "blobs"


class Specks(_Spots):
    """Small spots with sharper edges, `per_um2` of them, of diameter `size_nm`: dust that is not a particle."""

    HARD: ClassVar[float] = 6  # a nearly flat top

    kind: Literal["specks"] = "specks"


class Smears(PatchyLayer):
    """Smudges drawn out along one direction, `width_nm` wide and `stretch` times as long, as wiping leaves them."""

    kind: Literal["smears"] = "smears"
    width_nm: Positive
    stretch: Positive

    @staticmethod
    def texture(record: Record, shape: tuple[int, int], pixel_size_nm: float, rng: np.random.Generator) -> Image:
        """Streaks of height about 1 with finer streaks in them, on half of the ground."""
        angle, width_px = rng.uniform(0, np.pi), record["width_nm"] / pixel_size_nm
        streaks = sum(
            np.float32(weight) * streaky_noise(shape, width_px * weight, record["stretch"], angle, rng)
            for weight in (1, 0.5, 0.25)
        )
        return np.maximum(np.asarray(streaks, dtype=np.float32), 0)


class Contamination(Layer):
    """Dirt by the diamond-square algorithm, as Mill et al. made it (Small Methods 2021, 10.1002/smtd.202100223).

    It lies where a fractal surface is highest: on the part `coverage` of the image. `roughness` is the surface's Hurst
    exponent, low for ragged edges; `softness` is over how many of its SDs the dirt reaches its `amplitude`, low for a
    crust with a sharp edge; `rim` is added along that edge, over `rim_nm`.
    """

    kind: Literal["contamination"] = "contamination"
    amplitude: Distribution
    coverage: Fraction
    roughness: Fraction = default(0.6)
    softness: Positive = default(0.5)
    rim: Distribution = default(0.0)
    rim_nm: Positive = default(10.0)

    @classmethod
    def apply(cls, ground: Image, record: Record, pixel_size_nm: float, rng: np.random.Generator) -> Image:
        """Add the dirt."""
        surface = fractal_noise((ground.shape[0], ground.shape[1]), record["roughness"], rng)
        height = surface - np.float32(np.quantile(surface[::4, ::4], 1 - record["coverage"]))
        dirt = np.float32(record["amplitude"]) * np.tanh(np.maximum(height, 0) / np.float32(record["softness"]))
        if record["rim"]:
            down, right = np.gradient(height)
            distance = height / (np.sqrt(down**2 + right**2) + np.float32(1e-6))
            dirt += np.float32(record["rim"]) * rim(distance, record["rim_nm"] / pixel_size_nm)
        return np.asarray(ground + dirt)


class Drops(Layer):
    """Drops that dried: thin bent discs of diameter about `size_nm`, `per_um2` of them, with a rim over `rim_nm`.

    `level` is the relative change of the signal inside, `rim` that on the edge (a coffee ring).
    """

    kind: Literal["drops"] = "drops"
    level: Distribution
    size_nm: Positive
    per_um2: NotNegative
    rim: Distribution
    rim_nm: Positive

    @classmethod
    def apply(cls, ground: Image, record: Record, pixel_size_nm: float, rng: np.random.Generator) -> Image:
        """Add the drops."""
        shape = (ground.shape[0], ground.shape[1])
        rim_px = record["rim_nm"] / pixel_size_nm
        count = rng.poisson(record["per_um2"] * shape[0] * shape[1] * pixel_size_nm**2 * 1e-6)
        radii = record["size_nm"] / pixel_size_nm / 2 * rng.uniform(0.5, 1.5, count)
        depth = depth_in_discs(rng.uniform((0, 0), shape, (count, 2)), radii, shape, 2 * rim_px, 0.1, rng)
        return ground + np.float32(record["level"]) * filled(depth) + np.float32(record["rim"]) * rim(depth, rim_px)
