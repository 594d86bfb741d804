"""Feature vectors in the plane: principal components, then t-SNE."""

from typing import Literal

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA

from nanolab.core.checks import InputError
from nanolab.core.extras import optional

__all__ = ["Method", "principal_components", "tsne"]

Method = Literal["openTSNE", "scikit-learn"]


def principal_components(features: npt.NDArray[np.floating], variance: float) -> npt.NDArray[np.float64]:
    """Return the least number of principal components that hold a part of the variance, shape (vectors, components)."""
    return np.asarray(PCA(variance, svd_solver="full").fit_transform(features.astype(np.float64)))


def tsne(
    vectors: npt.NDArray[np.floating],
    method: Method,
    *,
    perplexity: float,
    learning_rate: float | Literal["auto"],
    iterations: int,
    rng: np.random.Generator,
) -> npt.NDArray[np.float64]:
    """Embed vectors in the plane by t-SNE over their squared Euclidean distances (van der Maaten & Hinton 2008).

    Parameters
    ----------
    vectors
        Shape (vectors, components), more than three times the perplexity.
    method
        "scikit-learn" by Barnes and Hut's tree, from a random start; "openTSNE" by interpolation, from the principal
        components (Policar et al. 2024, 10.18637/jss.v109.i03), which keeps the large structure and is faster.

    Returns
    -------
    embedding
        Shape (vectors, 2).

    References
    ----------
    van der Maaten & Hinton 2008, JMLR 9, 2579.
    """
    if len(vectors) <= 3 * perplexity:
        raise InputError(
            f"t-SNE: a perplexity of {perplexity:g} needs more than {3 * perplexity:g} patches, got {len(vectors)}; "
            "add images or choose smaller patches"
        )
    seed = int(rng.integers(2**31))
    # One thread each: two take longer than one where another program has the second core.
    if method == "openTSNE":
        with optional():
            from openTSNE import TSNE

        model = TSNE(perplexity=perplexity, learning_rate=learning_rate, n_iter=iterations, n_jobs=1, random_state=seed)
        return np.asarray(model.fit(vectors), dtype=np.float64)
    from sklearn.manifold import TSNE as ScikitTSNE

    # scikit-learn squares its "euclidean" distances; "sqeuclidean" would be squared once more.
    model = ScikitTSNE(
        perplexity=perplexity,
        learning_rate=learning_rate,
        max_iter=iterations,
        metric="euclidean",
        init="random",
        n_jobs=1,
        random_state=seed,
    )
    return np.asarray(model.fit_transform(vectors), dtype=np.float64)
