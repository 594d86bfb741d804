"""Principal components and t-SNE."""

import numpy as np
import pytest

from nanolab.core.checks import InputError
from nanolab.realism.embedding import Method, principal_components, tsne
from nanolab.realism.presets import PRESETS


def test_components_hold_the_variance_asked_for(rng: np.random.Generator) -> None:
    spread = np.array([10, 5, 2, 1, 0.5, 0.2])
    vectors = rng.normal(size=(500, 6)) * spread
    components = principal_components(vectors, 0.9)
    # 100 + 25 of 130.3: the first two hold 96 %, the first alone 77 %.
    assert components.shape == (500, 2)
    assert components.var(axis=0) == pytest.approx(spread[:2] ** 2, rel=0.15)


@pytest.mark.parametrize("method", ["openTSNE", "scikit-learn"])
def test_clusters_stay_clusters(method: Method, rng: np.random.Generator) -> None:
    centres = 20 * rng.normal(size=(3, 8))
    member = np.repeat(np.arange(3), 40)
    vectors = centres[member] + rng.normal(size=(120, 8))
    options = {"perplexity": 20, "learning_rate": 10.0, "iterations": 400}
    places, again = (tsne(vectors, method, **options, rng=np.random.default_rng(0)) for _ in range(2))
    assert np.array_equal(places, again)
    distance = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    assert (member[distance.argmin(axis=1)] == member).all()


def test_too_few_patches_for_the_perplexity_are_refused(rng: np.random.Generator) -> None:
    with pytest.raises(InputError, match="needs more than 60 patches, got 60"):
        tsne(rng.normal(size=(60, 3)), "openTSNE", perplexity=20, learning_rate="auto", iterations=250, rng=rng)


def test_the_preset_of_mill_is_the_papers() -> None:
    mill = PRESETS["mill2021"]
    assert (mill.patch_px, mill.extractor, mill.variance) == (144, "vgg16", 0.9)
    assert (mill.max_patches, mill.pixel_size) == (None, "real")
    assert (mill.method, mill.perplexity, mill.learning_rate, mill.iterations) == ("scikit-learn", 50, 10.0, 5000)
