"""How far what was found can be believed: a probability for each particle and for each image, and what speaks against.

Both are logistic regressions on a few numbers that a segmentation gives anyway, fitted on rendered images, whose
particles are known (`data/models/trust.json`, made by `tests/benchmarks/calibrate_trust.py`). They hold for the
weights and the options they were fitted with; with others the trust is given as well, and said not to be calibrated.
"""

from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit, logit

from nanolab.core.files import read_json
from nanolab.core.typing import FloatArray, Image, LabelMap
from nanolab.images.trust import UNTRUSTED, Trust
from nanolab.measurement.particles import equivalent_diameter
from nanolab.measurement.regions import find_regions
from nanolab.models.shipped import shipped_model

__all__ = [
    "CLOSE",
    "Calibration",
    "Evidence",
    "Sightings",
    "assess",
    "image_features",
    "particle_features",
    "probabilities",
    "shipped_calibration",
]

#: The median of an image is right if it is off by no more than this part of it.
CLOSE = 0.1

Calibration = dict[str, dict[str, Any]]

_FILE = "trust.json"
_UNCALIBRATED = "trust is not calibrated for this network and these options"
_FEW, _MUCH = 10, 0.5  # particles, and share that touch the border, that are worth a note
_CERTAIN = (0.01, 0.999)  # probabilities of which a logit is taken
_MISSING, _WIDE = 0.1, 1.5
# below, or above, that it is worth saying: mean trust, agreement, lower quartile of trust, change of the median
_UNLIKE, _PIECES, _UNSURE, _CHANGING = 0.4, 0.5, 0.5, 0.2


@dataclass(eq=False)
class Sightings:
    """What was found at each magnification, for comparison; adds up over the blocks of an image.

    Attributes
    ----------
    areas
        Of all particles of each magnification, in pixels of the image.
    foreground, covered
        Sum of the probabilities to be particle, and of those within the particles that are kept.
    """

    areas: dict[float, list[FloatArray]] = field(default_factory=dict)
    foreground: float = 0.0
    covered: float = 0.0

    def add(self, found: dict[float, LabelMap], kept: LabelMap, probability: Image) -> None:
        """Take in a block: label maps of each magnification, what is kept of them, and probabilities of one shape."""
        for magnification, labels in found.items():
            areas = np.bincount(labels.ravel())[1:]
            self.areas.setdefault(magnification, []).append(areas[areas > 0].astype(np.float64))
        self.foreground += float(probability.sum())
        self.covered += float(probability[kept > 0].sum())

    def medians(self) -> dict[float, float]:
        """Return the median ECD in px at each magnification at which something was found."""
        areas = {magnification: np.concatenate(parts) for magnification, parts in self.areas.items()}
        return {each: float(np.median(equivalent_diameter(known))) for each, known in areas.items() if len(known)}


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a segmentation tells about how far to believe it.

    Attributes
    ----------
    network
        SHA-256 of the checkpoint; empty where options other than the magnification are not those calibrated.
    agreement
        Of each magnification with its neighbours, see `nanolab.segmentation.magnification.survey`.
    best
        The magnification that agrees best.
    probability
        Shape (N,): mean probability in each particle.
    likelihoods
        Shape (N,): by `nanolab.segmentation.candidates.likelihood`, or the particles' steadiness, see
        `nanolab.segmentation.magnification.steadiest`; NaN where one magnification alone was looked at.
    sightings
        What was found at each magnification.
    """

    network: str
    agreement: dict[float, float]
    best: float
    probability: Image
    likelihoods: FloatArray
    sightings: Sightings

    @property
    def kind(self) -> str:
        """Whether several magnifications tell, "auto", or a "fixed" one does."""
        return "auto" if len(self.agreement) > 1 and not np.isnan(self.likelihoods).any() else "fixed"

    def of(self, kept: npt.NDArray[np.bool_]) -> "Evidence":
        """Return it for some of the particles; `kept` has shape (N,)."""
        return replace(self, probability=self.probability[kept], likelihoods=self.likelihoods[kept])

    def facts(self) -> dict[str, float]:
        """Return what is known of the image as a whole, see `image_features`."""
        medians, best = self.sightings.medians(), self.best
        near = [each for each in medians if each != best and 0.7 < each / best < 1.5]
        spread = [abs(float(np.log(medians[each] / medians[best]))) for each in near if best in medians]
        return {
            "agreement": max(self.agreement.values(), default=0.0),
            "spread": min(max(spread, default=_WIDE), _WIDE),
            "unexplained": 1 - self.sightings.covered / max(self.sightings.foreground, 1.0),
        }


def assess(evidence: Evidence, labels: LabelMap, calibration: Calibration | None = None) -> Trust:
    """Return how far the particles of a label map can be believed, each and all together.

    Parameters
    ----------
    evidence
        Of the segmentation.
    labels
        Its particles, shape (height, width), numbered 1 to N.
    calibration
        By default what ships.
    """
    calibration = calibration or shipped_calibration()
    models = calibration[evidence.kind]
    particles = particle_features(evidence, labels)
    trust = probabilities(models["particles"], particles)
    image = image_features(evidence.facts(), particles, trust)
    believed = float(probabilities(models["image"], image)[0])
    notes = _reasons(image.iloc[0], len(trust)) if believed < UNTRUSTED else []
    if evidence.network != models["network"]:
        notes.append(_UNCALIBRATED)
    return Trust(
        particles=tuple(np.round(trust, 3).tolist()), image=round(believed, 3), notes=tuple(notes) if len(trust) else ()
    )


@cache
def shipped_calibration() -> Calibration:
    """Return the calibration that belongs to the network that ships."""
    return dict(read_json(shipped_model().with_name(_FILE)))


def probabilities(model: dict[str, Any], features: pd.DataFrame) -> FloatArray:
    """Return what a logistic regression says of each row, shape (rows,); `model` has `intercept` and `weights`."""
    weights = pd.Series(model["weights"], dtype=np.float64)
    return np.asarray(
        expit(model["intercept"] + features[weights.index].to_numpy(dtype=np.float64) @ weights.to_numpy())
    )


def particle_features(evidence: Evidence, labels: LabelMap) -> pd.DataFrame:
    """Return what trust in each particle is computed from, one row per particle.

    `likelihood` is the logit of its likelihood among the candidates, `certainty` that of its mean probability;
    `solidity`, whether it `touches` the border, and `ecd` in px.
    """
    found = find_regions(labels)
    touches = np.zeros(len(found.area), dtype=bool)
    for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        touches[edge[edge > 0] - 1] = True
    return pd.DataFrame(
        {
            "likelihood": logit(np.clip(evidence.likelihoods, *_CERTAIN)),
            "certainty": logit(np.clip(evidence.probability, *_CERTAIN)),
            "solidity": found.area / found.hulls.pixels,
            "touches": touches.astype(float),
            "ecd": equivalent_diameter(found.area),
        }
    )


def image_features(facts: dict[str, float], particles: pd.DataFrame, trust: FloatArray) -> pd.DataFrame:
    """Return what trust in the median of an image is computed from, in one row.

    Parameters
    ----------
    facts
        `agreement` of the best magnification, `spread`, the largest relative difference of the median ECD at a
        neighbouring one, and `unexplained`, the part of the foreground that no particle has; of `Evidence.facts`.
    particles, trust
        Features of the particles and trust in them. `trust` is their mean, `least` the lower quartile of it,
        `margin` see `_margin`, `touching` the share at the border.
    """
    row = {
        **facts,
        "least": float(np.quantile(trust, 0.25)) if len(trust) else 0.0,
        "trust": float(trust.mean()) if len(trust) else 0.0,
        "margin": _margin(particles["ecd"].to_numpy(), trust),
        "touching": float(particles["touches"].mean()) if len(trust) else 1.0,
    }
    return pd.DataFrame([row])


def _margin(sizes: FloatArray, trust: FloatArray) -> float:
    """Return by how many standard deviations the median stays within 10 %.

    Each particle is there with its trust, and one in ten may be missing. The median moves below if most of those that
    are there are smaller than 0.9 of it, above if most are larger than 1.1 of it.
    """
    if not len(sizes):
        return 0.0
    median = np.median(sizes)
    below, above = trust[sizes < (1 - CLOSE) * median].sum(), trust[sizes > (1 + CLOSE) * median].sum()
    between = trust.sum() - below - above
    scatter = np.sqrt((trust * (1 - trust)).sum() + _MISSING * len(sizes) + 0.25)
    return float(between - abs(above - below)) / float(scatter)


def _reasons(image: pd.Series, count: int) -> list[str]:
    """Return why an image is not believed."""
    reasons = {
        f"fewer than {_FEW} particles": count < _FEW,
        "most particles touch the border": image["touching"] > _MUCH,
        "unlike anything the network has learned": image["trust"] < _UNLIKE,
        "particles come in pieces at every scale": image["agreement"] < _PIECES,
        "sizes change with the magnification": image["spread"] > _CHANGING,
        "a quarter of the particles is unsure": image["least"] < _UNSURE,
        "the median hangs on a few particles": image["margin"] < 1,
    }
    return [words for words, is_so in reasons.items() if is_so] or ["many particles are unsure"]
