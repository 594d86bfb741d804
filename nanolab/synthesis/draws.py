"""Random quantities of a recipe: named distributions with physical parameters.

In a recipe a plain number is a constant and a pair ``[low, high]`` is uniform between the two.
"""

import csv
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator
from scipy import special

from nanolab.core.checks import InputError, check_file
from nanolab.core.typing import FloatArray

__all__ = [
    "Constant",
    "Distribution",
    "Empirical",
    "Fraction",
    "LogNormal",
    "Mixture",
    "Model",
    "Normal",
    "NotNegative",
    "Positive",
    "Record",
    "Uniform",
    "between",
]

#: What was drawn for one image, ready for JSON; it replays the image.
Record = dict[str, Any]

# Beyond these, lengths in nm and what is computed of them are no sizes of anything a microscope sees.
TINY, HUGE = 1e-9, 1e15


class Model(BaseModel):
    """A part of a recipe: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def drawn(self, rng: np.random.Generator, *names: str) -> dict[str, float]:
        """Draw one value of each of the named distributions, in this order."""
        return {name: float(getattr(self, name).draw(rng, 1)[0]) for name in names}


class Constant(Model):
    """Always the same `value`."""

    kind: Literal["constant"] = "constant"
    value: float

    @property
    def support(self) -> tuple[float, float]:
        """Smallest and largest possible value."""
        return self.value, self.value

    def draw(self, rng: np.random.Generator, size: int) -> FloatArray:  # noqa: ARG002 (one interface for all)
        """Return `size` values, shape (size,)."""
        return np.full(size, self.value)


class _Bounded(Model):
    """Shared by the distributions that can be cut to [min, max]."""

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _not_empty(self) -> "_Bounded":
        low, high = self.support
        if low >= high:
            raise ValueError(f"the range is empty: min {low:g} is not below max {high:g}")
        return self

    @property
    def support(self) -> tuple[float, float]:
        """Smallest and largest possible value."""
        return (-np.inf if self.min is None else self.min, np.inf if self.max is None else self.max)

    def _standard_normal(self, rng: np.random.Generator, size: int, low: float, high: float) -> FloatArray:
        """Standard normal values cut to [low, high], by inversion: as many draws as values, whatever the cut."""
        chances = rng.uniform(special.ndtr(low), special.ndtr(high), size)
        return np.asarray(np.clip(special.ndtri(chances), low, high), dtype=float)


class Uniform(_Bounded):
    """Every value between `min` and `max` is as likely."""

    kind: Literal["uniform"] = "uniform"
    min: float
    max: float

    def draw(self, rng: np.random.Generator, size: int) -> FloatArray:
        """Return `size` values, shape (size,)."""
        return rng.uniform(self.min, self.max, size)


class Normal(_Bounded):
    """Normal distribution of mean `mean` and standard deviation `sd`, between `min` and `max`."""

    kind: Literal["normal"] = "normal"
    mean: float
    sd: Annotated[float, Field(gt=0)]

    def draw(self, rng: np.random.Generator, size: int) -> FloatArray:
        """Return `size` values, shape (size,)."""
        low, high = ((bound - self.mean) / self.sd for bound in self.support)
        return self.mean + self.sd * self._standard_normal(rng, size, low, high)


class LogNormal(_Bounded):
    """Log-normal distribution of median `median` and geometric standard deviation `gsd`, between `min` and `max`."""

    kind: Literal["lognormal"] = "lognormal"
    median: Annotated[float, Field(gt=0)]
    gsd: Annotated[float, Field(gt=1)]

    @property
    def support(self) -> tuple[float, float]:
        """Smallest and largest possible value; a log-normal one is never below 0."""
        low, high = super().support
        return max(low, 0.0), high

    def draw(self, rng: np.random.Generator, size: int) -> FloatArray:
        """Return `size` values, shape (size,)."""
        with np.errstate(divide="ignore"):  # log(0) is the open lower end
            low, high = (np.log(np.array(self.support) / self.median) / np.log(self.gsd)).tolist()
        # A bound of 0 would let the inversion return it; no particle has the size 0.
        return self.median * self.gsd ** self._standard_normal(rng, size, max(low, -8.0), high)


class Empirical(Model):
    """Values drawn with replacement from a measured list.

    In place of `values` a recipe may name a CSV `file` and a `column` of it, by its heading. A relative path begins at
    the recipe's folder; the values are read at once and kept in its place.
    """

    kind: Literal["empirical"] = "empirical"
    values: Annotated[list[float], Field(min_length=1)]

    @model_validator(mode="before")
    @classmethod
    def _from_file(cls, given: Any, info: ValidationInfo) -> Any:
        if not isinstance(given, dict) or "file" not in given:
            return given
        if unknown := given.keys() - {"kind", "file", "column"}:
            raise ValueError(f"a file of values goes with a column only, not with {', '.join(sorted(unknown))}")
        path = (info.context or {}).get("folder", Path()) / Path(str(given["file"])).expanduser()
        return {"kind": "empirical", "values": _column(path, given.get("column"))}

    @property
    def support(self) -> tuple[float, float]:
        """Smallest and largest possible value."""
        return min(self.values), max(self.values)

    def draw(self, rng: np.random.Generator, size: int) -> FloatArray:
        """Return `size` values, shape (size,)."""
        return rng.choice(np.asarray(self.values), size)


def _column(path: Path, name: str | None) -> list[float]:
    """Read the numbers of a CSV file's column."""
    with check_file(path, "CSV file").open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        columns = list(rows.fieldnames or [])
        if name is None and len(columns) == 1:
            name = columns[0]
        if name not in columns:
            raise InputError(f"{path}: no column {name!r}; name one of {', '.join(map(repr, columns))} as `column`")
        return [_number(row[name], f"{path} line {rows.line_num}") for row in rows]


def _number(text: str | None, where: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise InputError(f"{where}: expected a number, got {text!r}; correct it or take the line out")
    return value


class Mixture(Model):
    """Several distributions, `components`, each with its share of the values, `weights`."""

    kind: Literal["mixture"] = "mixture"
    components: Annotated[list["Distribution"], Field(min_length=1)]
    weights: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)]

    @model_validator(mode="after")
    def _one_weight_each(self) -> "Mixture":
        if len(self.weights) != len(self.components):
            raise ValueError(f"{len(self.components)} components need as many weights, got {len(self.weights)}")
        return self

    @property
    def support(self) -> tuple[float, float]:
        """Smallest and largest possible value."""
        supports = [component.support for component in self.components]
        return min(low for low, _ in supports), max(high for _, high in supports)

    def draw(self, rng: np.random.Generator, size: int) -> FloatArray:
        """Return `size` values, shape (size,)."""
        shares = np.asarray(self.weights) / np.sum(self.weights)
        chosen = rng.choice(len(shares), size, p=shares)
        columns = np.stack([component.draw(rng, size) for component in self.components])
        return np.asarray(columns[chosen, np.arange(size)])


def default(value: Any) -> Any:
    """Return a field's default that is written and checked as in a recipe: a number or a range."""
    return Field(default=value, validate_default=True)


def _shorthand(value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return {"kind": "constant", "value": value}
    if isinstance(value, (list, tuple)):
        if len(value) != 2:
            raise ValueError(f"a range is [low, high], got {len(value)} values")
        return {"kind": "uniform", "min": value[0], "max": value[1]}
    if not isinstance(value, (dict, BaseModel)):
        raise ValueError("expected a number, a range [low, high], or a distribution such as {kind: normal, ...}")
    return value


def between(low: float, high: float) -> AfterValidator:
    """Return a validator: every value of the distribution must lie in [low, high]."""

    def check(distribution: Any) -> Any:
        smallest, largest = distribution.support
        if smallest < low or largest > high:
            raise ValueError(f"values must lie between {low:g} and {high:g}, these go from {smallest:g} to {largest:g}")
        return distribution

    return AfterValidator(check)


def _positive(distribution: Any) -> Any:
    smallest, largest = distribution.support
    if smallest < 0 or (smallest == 0 and not isinstance(distribution, LogNormal)):
        raise ValueError(f"values must be above 0, these go down to {smallest:g}; set min")
    if 0 < smallest < TINY or HUGE < largest < np.inf:
        raise ValueError(f"values must lie between {TINY:g} and {HUGE:g}, these go from {smallest:g} to {largest:g}")
    return distribution


_Kinds = Annotated[Constant | Uniform | Normal | LogNormal | Empirical | Mixture, Field(discriminator="kind")]
Distribution = Annotated[
    _Kinds, BeforeValidator(_shorthand, json_schema_input_type=float | tuple[float, float] | _Kinds)
]
Positive = Annotated[Distribution, AfterValidator(_positive)]
NotNegative = Annotated[Distribution, between(0, np.inf)]
Fraction = Annotated[Distribution, between(0, 1)]
Mixture.model_rebuild()
