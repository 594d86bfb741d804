"""How far two clouds of feature vectors are from each other.

Patches of one image are alike, so an image and not a patch is the unit that is drawn from a population. Where `groups`
name the image of each vector, estimates and their intervals take account of that.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nanolab.core.checks import InputError

__all__ = ["NEIGHBOURS", "NeighbourScores", "frechet_distance", "kid", "kid_interval", "neighbour_scores"]

Features = npt.NDArray[np.floating]
Groups = npt.NDArray[np.integer]

NEIGHBOURS = 5


def kid(
    first: Features, second: Features, first_groups: Groups | None = None, second_groups: Groups | None = None
) -> float:
    """Kernel distance (KID): the unbiased squared MMD with the kernel (x.y / d + 1)^3 (Binkowski et al. 2018).

    Zero on average, and so often below zero, for two samples of one population. With groups, pairs from within one
    image are left out like a vector's pair with itself: the estimate is then unbiased over the choice of images.

    Parameters
    ----------
    first, second
        Shape (vectors, features).
    first_groups, second_groups
        Image of each vector, shape (vectors,); each vector is its own image if not given.

    References
    ----------
    Binkowski et al. 2018, arXiv:1801.01401; Gretton et al. 2012, JMLR 13, 723.
    """
    return _Kernel.of(first, second, first_groups, second_groups).distance()


def kid_interval(
    first: Features,
    second: Features,
    first_groups: Groups,
    second_groups: Groups,
    *,
    rng: np.random.Generator,
    level: float = 0.95,
    repeats: int = 1000,
) -> tuple[float, float]:
    """Interval of `kid` by a bootstrap over images: which images there are is redrawn, with replacement.

    Copies of one image make no pairs with each other, or they would be taken for images that are the same.
    """
    kernel = _Kernel.of(first, second, first_groups, second_groups)
    values = [
        kernel.distance(*(_redrawn(len(sums), rng) for sums in (kernel.first, kernel.second))) for _ in range(repeats)
    ]
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _redrawn(count: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Draw how often each image is in a bootstrap sample; at least two different ones are."""
    while True:
        times = rng.multinomial(count, np.full(count, 1 / count)).astype(float)
        if (times > 0).sum() > 1:
            return times


@dataclass(frozen=True)
class _Kernel:
    """Sums of the kernel over the pairs of vectors of each pair of images, and how many pairs these are."""

    first: npt.NDArray[np.float64]
    first_pairs: npt.NDArray[np.float64]
    second: npt.NDArray[np.float64]
    second_pairs: npt.NDArray[np.float64]
    across: npt.NDArray[np.float64]
    across_pairs: npt.NDArray[np.float64]

    @classmethod
    def of(
        cls, first: Features, second: Features, first_groups: Groups | None, second_groups: Groups | None
    ) -> "_Kernel":
        x, y = (features.astype(np.float64) for features in (first, second))
        x_member, y_member = _membership(x, first_groups), _membership(y, second_groups)
        x_count, y_count = x_member.sum(axis=1), y_member.sum(axis=1)
        return cls(
            _zero_diagonal(x_member @ _polynomial(x, x) @ x_member.T),
            _zero_diagonal(np.outer(x_count, x_count)),
            _zero_diagonal(y_member @ _polynomial(y, y) @ y_member.T),
            _zero_diagonal(np.outer(y_count, y_count)),
            x_member @ _polynomial(x, y) @ y_member.T,
            np.outer(x_count, y_count),
        )

    def distance(
        self, first_times: npt.NDArray[np.float64] | None = None, second_times: npt.NDArray[np.float64] | None = None
    ) -> float:
        """Return the squared MMD with each image counted so many times, once if not given."""
        u = np.ones(len(self.first)) if first_times is None else first_times
        v = np.ones(len(self.second)) if second_times is None else second_times
        within = (u @ self.first @ u) / (u @ self.first_pairs @ u) + (v @ self.second @ v) / (v @ self.second_pairs @ v)
        return float(within - 2 * (u @ self.across @ v) / (u @ self.across_pairs @ v))


def _membership(features: Features, groups: Groups | None) -> npt.NDArray[np.float64]:
    """Return which vectors belong to which image, shape (images, vectors)."""
    groups = np.arange(len(features)) if groups is None else groups
    names = np.unique(groups)
    if len(names) < 2:
        raise InputError(f"kernel distance: needs vectors of at least two images in each set, got {len(names)}")
    return (names[:, None] == groups).astype(float)


def _polynomial(x: Features, y: Features) -> npt.NDArray[np.float64]:
    product = x @ y.T / x.shape[1] + 1
    return np.asarray(product * product * product)  # a power takes many times as long


def _zero_diagonal(matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    np.fill_diagonal(matrix, 0)
    return matrix


def frechet_distance(first: Features, second: Features) -> float:
    """Squared Frechet distance of the normal distributions with the mean and covariance of two samples (as in FID).

    It grows as samples shrink: compare only values of equal counts. The trace of the root of the product of the
    covariances is the sum of the singular values of the product of the centred samples, which needs no root of a
    covariance that fewer vectors than features leave singular.

    Parameters
    ----------
    first, second
        Shape (vectors, features), at least two vectors each.

    References
    ----------
    Dowson & Landau 1982, 10.1016/0047-259X(82)90077-X; Heusel et al. 2017, arXiv:1706.08500.
    """
    if min(len(first), len(second)) < 2:
        raise InputError(
            f"Frechet distance: needs at least two vectors in each set, got {len(first)} and {len(second)}"
        )
    means, roots = [], []
    for features in (first, second):
        means.append(features.mean(axis=0, dtype=np.float64))
        roots.append((features - means[-1]) / np.sqrt(len(features) - 1))
    overlap = np.linalg.svd(_smaller_product(*roots), compute_uv=False).sum()
    spread = sum(float((root**2).sum()) for root in roots)
    return float(((means[0] - means[1]) ** 2).sum() + spread - 2 * overlap)


def _smaller_product(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return a matrix with the singular values of `a @ b.T`, no larger than features x features."""
    if min(len(a), len(b)) > a.shape[1]:
        a, b = (np.asarray(np.linalg.qr(each, mode="r")) for each in (a, b))
    return np.asarray(a @ b.T)


@dataclass(frozen=True)
class NeighbourScores:
    """How two samples lie among each other's nearest neighbours; 1 is best, density may exceed it.

    `precision`: part of the second set within the first; `recall`: the other way round (Kynkaanniemi et al. 2019,
    arXiv:1904.06991). `density` and `coverage`: the same two questions, less touched by outliers (Naeem et al. 2020,
    arXiv:2002.09797). Lone real vectors have large balls, in which even noise may lie: trust recall and coverage more.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def neighbour_scores(real: Features, synthetic: Features, *, k: int = NEIGHBOURS) -> NeighbourScores:
    """Compare two samples by the balls that reach from each vector to its k-th nearest neighbour in its own set.

    Parameters
    ----------
    real, synthetic
        Shape (vectors, features), more than k vectors each.
    """
    if min(len(real), len(synthetic)) <= k:
        raise InputError(
            f"neighbour scores: need more than {k} vectors in each set, got {len(real)} and {len(synthetic)}"
        )
    real_radius, synthetic_radius = (np.sort(_distances(each, each), axis=1)[:, k] for each in (real, synthetic))
    across = _distances(real, synthetic)
    in_real = across <= real_radius[:, None]
    return NeighbourScores(
        precision=float(in_real.any(axis=0).mean()),
        recall=float((across <= synthetic_radius[None, :]).any(axis=1).mean()),
        density=float(in_real.sum(axis=0).mean() / k),
        coverage=float(in_real.any(axis=1).mean()),
    )


def _distances(x: Features, y: Features) -> npt.NDArray[np.float64]:
    """Squared Euclidean distances, shape (vectors of x, vectors of y)."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    return np.maximum((x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1)[None, :] - 2 * x @ y.T, 0)
