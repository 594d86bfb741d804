"""What cut and paste can be told: the hyperparameters of UTILE-Gen's table 1 with their defaults, and what goes beyond.

The table's *overlapping particles* is `arrangement`, its *synthetic backgrounds* is "mean" among `backgrounds`.
UTILE-Gen: Colliard-Granero et al., ACS Nanosci. Au 2023, 10.1021/acsnanoscienceau.3c00020.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from nanolab.synthesis.draws import Model

__all__ = ["PRESETS", "BackgroundKind", "Blending", "CutPasteSettings", "Placing"]

Placing = Literal["overlapping", "separate", "grid", "agglomerated"]
BackgroundKind = Literal["inpainted", "texture", "mean", "plain"]
Blending = Literal["feather", "poisson", "none"]

Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, le=20_000)]


class CutPasteSettings(Model):
    """Settings of a cut-and-paste dataset; lengths in pixels, angles in degrees, a pair is a uniform range.

    Attributes
    ----------
    size_px
        Side of the square images.
    particles
        Particles to paste into an image: a number, or the smallest and largest; "source": as many as are annotated in
        the image that its background is of.
    arrangement
        "overlapping": anywhere, later ones on top. "agglomerated": most next to one that is there, so that chains and
        clusters grow. "separate": anywhere, none touching another. "grid": none touching, one a cell.
    gap_px
        Background pixels between two particles that are "separate" or on a "grid", at least.
    tries
        Places tried for a particle before it is left out.
    cluster_fraction
        Chance that a particle of an "agglomerated" image goes next to another one.
    angle_deg, scale
        Ranges of the rotation and of the change of size; the scale is a factor on lengths.
    min_area_fraction
        Particles of the source below this part of its mean particle area are not used.
    min_solidity
        Particles whose area is below this part of their convex hull's are taken for fragments and not used.
    backgrounds
        Kinds in the pool, one of them drawn for each image: the source with its particles painted over, texture grown
        from its background, its mean background grey, or "plain": painted over by OpenCV alone, all else as it was.
    keep_text
        Keep the text and scale bars burnt into a source in its "inpainted" background.
    textures
        Different backgrounds of the kind "texture" to make from a source.
    blending
        "feather": the particle's contrast to its ground on the new ground, with a soft edge. "poisson": the gradients
        of particle and ground joined (Perez et al., ACM Trans. Graph. 2003, 10.1145/882262.882269). "none": grey values
        as they are within the mask.
    feather_px
        SD of the soft edge.
    intensity_matching
        1: a particle has the contrast to the ground that it had in the source; 0: it has the grey values it had.
    shadow
        Width of the rim of shadow or glow that comes along, as a fraction of the particle's diameter.
    salt_pepper, gaussian_blur_px
        Upper limits, drawn from 0 for each image: the part of the pixels set to black or white, SD of the blur.
    mix_sources
        Paste particles of all sources into one image. Otherwise an image has one source, each source its turn.
    """

    size_px: Annotated[int, Field(ge=16, le=16384)] = 1024
    particles: Count | tuple[Count, Count] | Literal["source"] = 50
    arrangement: Placing = "overlapping"
    gap_px: Annotated[int, Field(ge=1, le=1000)] = 1
    tries: Annotated[int, Field(ge=1, le=10_000)] = 100
    cluster_fraction: Fraction = 0.9
    angle_deg: tuple[float, float] = (0.0, 360.0)
    scale: tuple[Annotated[float, Field(ge=0.05)], Annotated[float, Field(le=20)]] = (0.3, 2.0)
    min_area_fraction: Annotated[float, Field(ge=0)] = 0.6
    min_solidity: Fraction = 0.9
    backgrounds: Annotated[tuple[BackgroundKind, ...], Field(min_length=1)] = ("inpainted", "texture", "mean")
    keep_text: bool = False
    textures: Annotated[int, Field(ge=1, le=100)] = 2
    blending: Blending = "feather"
    feather_px: Annotated[float, Field(gt=0, le=20)] = 0.8
    intensity_matching: Fraction = 1.0
    shadow: Annotated[float, Field(ge=0, le=2)] = 0.25
    salt_pepper: Fraction = 0.1
    gaussian_blur_px: Annotated[float, Field(ge=0, le=100)] = 0.3
    mix_sources: bool = False

    @model_validator(mode="after")
    def _ranges_ascend(self) -> "CutPasteSettings":
        for name, (low, high) in (
            ("particles", self.count_range),
            ("angle_deg", self.angle_deg),
            ("scale", self.scale),
        ):
            if low > high:
                raise ValueError(f"{name}: a range goes from low to high, got {low} to {high}")
        return self

    @property
    def count_range(self) -> tuple[int, int]:
        """Smallest and largest number of particles to paste; no particle where that is for the source to say."""
        if self.particles == "source":
            return 0, 0
        return self.particles if isinstance(self.particles, tuple) else (self.particles, self.particles)


#: `utile2023` is the paper's tool as published: particles and backgrounds of all sources in common pools, as many
#: particles as in the source; `realistic` is for images to be taken for real ones.
PRESETS: dict[str, CutPasteSettings] = {
    "default": CutPasteSettings(),
    "utile2023": CutPasteSettings(
        particles="source",
        backgrounds=("plain", "mean"),
        keep_text=True,
        mix_sources=True,
        blending="none",
        intensity_matching=0,
        shadow=0,
        min_solidity=0,
    ),
    "realistic": CutPasteSettings(
        arrangement="agglomerated",
        scale=(0.8, 1.25),
        backgrounds=("inpainted", "texture"),
        salt_pepper=0,
        gaussian_blur_px=0,
    ),
}
