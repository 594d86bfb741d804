"""The distances of two sets, each with its baseline: real images against other real images."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from nanolab.realism.distances import NEIGHBOURS, frechet_distance, kid, kid_interval, neighbour_scores
from nanolab.realism.twosample import classifier_two_sample_test

__all__ = ["LEAST", "MEASURES", "Cloud", "Halves", "Score", "halve_images", "score_sets"]

#: Ways to halve a set: which patches are of either half, shape (patches,) each.
Halves = Sequence[tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]]

#: The measures: what they are called, and whether a small value is good.
MEASURES: Mapping[str, tuple[str, bool]] = {
    "kid": ("kernel distance (KID)", True),
    "frechet": ("Fréchet distance", True),
    "c2st": ("classifier accuracy (C2ST)", True),
    "precision": ("precision", False),
    "recall": ("recall", False),
    "density": ("density", False),
    "coverage": ("coverage", False),
}
#: Fewer patches than this in either half of the real images, or of synthetic ones, are not compared.
LEAST = 4 * NEIGHBOURS


@dataclass(frozen=True)
class Cloud:
    """Feature vectors of a set.

    `features` and `components`, their first principal components for the classifier, have the shape (vectors, ...);
    `images` says which image each is from, shape (vectors,).
    """

    features: npt.NDArray[np.floating]
    components: npt.NDArray[np.floating]
    images: npt.NDArray[np.integer]

    def __len__(self) -> int:
        return len(self.features)

    def take(self, which: npt.NDArray[np.generic]) -> "Cloud":
        """Return some of the vectors, by index or by a mask."""
        return Cloud(self.features[which], self.components[which], self.images[which])


@dataclass(frozen=True)
class Score:
    """A measure's mean over several ways to halve the real images, and the 5th and 95th percentile of them."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> "Score":
        """Summarise the values of a measure, one a halving."""
        low, high = np.quantile(values, [0.05, 0.95])
        return cls(float(np.mean(values)), float(low), float(high))


def halve_images(images: npt.NDArray[np.integer], ways: int, rng: np.random.Generator) -> Halves:
    """Halve a set at random by image, never by patch, in several ways."""
    names = np.unique(images)
    halves = []
    for _ in range(ways):
        chosen = rng.permutation(names)[: len(names) // 2]
        first = np.isin(images, chosen)
        halves.append((first, ~first))
    return halves


def score_sets(
    real: Cloud,
    synthetic: Cloud,
    halves: list[tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]],
    rng: np.random.Generator,
) -> dict[str, dict[str, object]] | None:
    """Compare half of the real images with synthetic ones and with the other half, at the same number of vectors.

    Most measures depend on how many vectors there are; compared like this they are on one scale. Values are means over
    the halvings. KID has besides a 95 % bootstrap interval over images, of all real against all synthetic vectors.
    Neighbours (precision, recall, density, coverage) are looked for by direction, all vectors scaled to length one.

    Returns
    -------
    scores
        By measure (see `MEASURES`): `synthetic` and `baseline`, each with value, low, high; for `kid` also
        `all_images` with value, low and high. None if there are too few vectors (see `LEAST`).
    """
    count = min([len(synthetic), *(int(half.sum()) for pair in halves for half in pair)])
    if count < LEAST or len(np.unique(synthetic.images)) < 2:
        return None
    columns: dict[str, dict[str, list[float]]] = {name: {"synthetic": [], "baseline": []} for name in MEASURES}
    for one, other in halves:
        first = _some(real.take(one), count, rng)
        for against, second in (("synthetic", synthetic), ("baseline", real.take(other))):
            for name, value in _measures(first, _some(second, count, rng), rng).items():
                columns[name][against].append(value)
    scores: dict[str, dict[str, object]] = {
        name: {against: asdict(Score.of(values)) for against, values in column.items()}
        for name, column in columns.items()
    }
    pair = (real.features, synthetic.features, real.images, synthetic.images)
    low, high = kid_interval(*pair, rng=rng)
    scores["kid"]["all_images"] = asdict(Score(kid(*pair), low, high))
    return scores


def _some(cloud: Cloud, count: int, rng: np.random.Generator) -> Cloud:
    return cloud.take(rng.permutation(len(cloud))[:count])


def _measures(first: Cloud, second: Cloud, rng: np.random.Generator) -> dict[str, float]:
    test = classifier_two_sample_test(first.components, second.components, first.images, second.images, rng=rng)
    return {
        "kid": kid(first.features, second.features, first.images, second.images),
        "frechet": frechet_distance(first.features, second.features),
        "c2st": test.accuracy,
        **asdict(neighbour_scores(_directions(first.features), _directions(second.features))),
    }


def _directions(features: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Scale vectors to length one.

    A patch in which the network finds nothing, such as noise, has a short vector. That is within reach of every long
    one whose neighbours are far: measured on whole vectors, all of white noise has a place among real particles.
    """
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
