"""Wires: tubes along smooth curves."""

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator
from scipy.ndimage import gaussian_filter1d

from nanolab.core.typing import FloatArray
from nanolab.synthesis.draws import Distribution, Fraction, Positive, default
from nanolab.synthesis.mesh import Mesh
from nanolab.synthesis.particles.kind import Core, Kind
from nanolab.synthesis.particles.lofted import rounded_ends, section, sweep

__all__ = ["Wire"]


# A centreline has a point each half width; a wire of 1 mm and 10 nm would have 200,000 and no use in any micrograph.
POINTS = 100_000
# A section at least every so many widths, for what lies under a wire bends it too.
SECTION_WIDTHS = 4.0


class Wire(Kind):
    """A wire of width `width_nm` that lies along a curve, `length_nm` from end to end.

    The curve is a worm-like chain in the plane (Kratky & Porod, Recl. Trav. Chim. 1949, 10.1002/recl.19490681203):
    along a distance s the direction turns by a normal angle of variance s / `persistence_nm`. `sides` makes it a
    prism, `end_rounding` its ends hemispheres (1) or flat (0).
    """

    SIZE: ClassVar[str] = "width_nm"

    template: Literal["wire"] = "wire"
    width_nm: Positive
    length_nm: Positive
    persistence_nm: Positive
    sides: Annotated[int, Field(ge=3, le=12)] | None = None
    end_rounding: Fraction = default(0.5)
    orientation: Literal["flat"] = "flat"

    @field_validator("core")
    @classmethod
    def _solid(cls, core: Core | None) -> None:
        if core is not None:
            raise ValueError("a wire has no core: a scaled copy of a curve does not lie within it")

    @field_validator("tilt_deg")
    @classmethod
    def _lying(cls, tilt_deg: Distribution) -> Distribution:
        if tilt_deg.support[1] > 0:
            raise ValueError("a wire lies on the substrate and on other wires; take tilt_deg out")
        return tilt_deg

    @model_validator(mode="after")
    def _possible(self) -> "Wire":
        (thinnest, thickest), (shortest, longest) = self.width_nm.support, self.length_nm.support
        if not longest <= POINTS / 2 * max(thinnest, 1e-9):
            raise ValueError(
                f"length_nm goes up to {longest:g} and width_nm down to {thinnest:g}: a wire is at most {POINTS // 2} "
                "times as long as wide; set max of length_nm or min of width_nm"
            )
        if shortest < thickest:
            raise ValueError(
                f"length_nm goes down to {shortest:g} and width_nm up to {thickest:g}: a wire is longer than wide; set "
                "min of length_nm or max of width_nm, or take a rod"
            )
        if self.persistence_nm.support[0] < 5 * thickest:
            raise ValueError(
                f"persistence_nm goes down to {self.persistence_nm.support[0]:g}: below 5 widths ({5 * thickest:g} nm) "
                "a wire would bend into itself; set its min"
            )
        return self

    def centreline(self, width_nm: float, rng: np.random.Generator) -> FloatArray:
        """Return points (n, 2) in nm along a wire's axis about their mean, a quarter to a half width apart."""
        length, persistence = self.drawn(rng, "length_nm", "persistence_nm").values()
        count = max(int(np.ceil(length / width_nm * 2)), 8)
        step = length / count
        turns = rng.normal(0, np.sqrt(step / persistence), count)
        # The chain's kinks are smoothed over a few widths, which leaves its bending over longer distances.
        angles = gaussian_filter1d(np.cumsum(turns), 4.0, mode="nearest")
        angles -= angles.mean()
        points = np.concatenate(
            [np.zeros((1, 2)), np.cumsum(step * np.column_stack([np.cos(angles), np.sin(angles)]), axis=0)]
        )
        return np.asarray(points - points.mean(axis=0))

    def tube(self, line: FloatArray, width_nm: float, tolerance_nm: float, rng: np.random.Generator) -> Mesh:
        """Return the closed mesh of a wire whose axis goes through points (n, 3) in nm."""
        (rounding,) = self.end_rounding.draw(rng, 1)
        steps = np.linalg.norm(np.diff(line, axis=0), axis=1)
        along = np.concatenate([[0], np.cumsum(steps)])
        length, radius = float(along[-1]), width_nm / 2
        ends, radii = rounded_ends(length, radius, float(rounding) * radius, tolerance_nm)
        inner = _stations(line, along, width_nm, tolerance_nm)
        inner = inner[(inner > ends[len(ends) // 2 - 1]) & (inner < ends[len(ends) // 2])]
        stations = np.insert(ends, len(ends) // 2, inner)
        radii = np.insert(radii, len(radii) // 2, np.full(len(inner), radius))
        tangents = np.gradient(line, along, axis=0)
        tangents = _at(stations, along, tangents)
        tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
        outline = section(self.sides, radius, tolerance_nm)
        return sweep(_at(stations, along, line), tangents, radii, outline, ends=(line[0], line[-1]))

    def shape(self, size_nm: float, tolerance_nm: float, rng: np.random.Generator) -> Mesh:
        """Return a wire that lies on a plane, alone."""
        line = self.centreline(size_nm, rng)
        mesh = self.tube(np.column_stack([line, np.zeros(len(line))]), size_nm, tolerance_nm, rng)
        return mesh.moved(-mesh.centroid)


def _stations(line: FloatArray, along: FloatArray, width_nm: float, tolerance_nm: float) -> FloatArray:
    """Return where sections stand: the closer the more the line bends, so that chords leave it by the tolerance."""
    tangents = np.gradient(line, along, axis=0)
    curvature = np.linalg.norm(np.gradient(tangents, along, axis=0), axis=1)
    density = np.maximum(np.sqrt(curvature / (8 * tolerance_nm)), 1 / (SECTION_WIDTHS * width_nm))
    count = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(along))])
    return np.interp(np.linspace(0, count[-1], int(np.ceil(count[-1])) + 1), count, along)


def _at(stations: FloatArray, along: FloatArray, values: FloatArray) -> FloatArray:
    return np.stack([np.interp(stations, along, column) for column in values.T], axis=1)
