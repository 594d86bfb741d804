"""The classifier two-sample test, where the answer is known."""

import numpy as np
import pytest
from scipy.stats import norm

from nanolab.core.checks import InputError
from nanolab.realism.twosample import classifier_two_sample_test


def test_accuracy_is_that_of_the_best_classifier(rng: np.random.Generator) -> None:
    groups = np.repeat(np.arange(20), 50)
    x, y = rng.normal(0, 1, (1000, 2)), rng.normal((2, 0), 1, (1000, 2))
    test = classifier_two_sample_test(x, y, groups, groups, rng=rng)
    # Two normal distributions 2 SD apart: the best boundary is half way. 2000 draws know it to 0.8 %.
    assert test.accuracy == pytest.approx(norm.cdf(1), abs=0.025)
    assert test.first.mean() < 0.5 < test.second.mean()


def test_one_population_is_not_told_apart_even_where_images_differ(rng: np.random.Generator) -> None:
    groups = np.repeat(np.arange(10), 30)
    accuracies = []
    for _ in range(20):
        x, y = (rng.normal(size=(300, 4)) + 2 * rng.normal(size=(10, 4))[groups] for _ in range(2))
        accuracies.append(classifier_two_sample_test(x, y, groups, groups, rng=rng).accuracy)
    # With images of one set in training and test, the classifier would know them again, and be right nine times in ten.
    assert np.mean(accuracies) < 0.6


def test_needs_two_images(rng: np.random.Generator) -> None:
    x = rng.normal(size=(10, 2))
    with pytest.raises(InputError, match="two images in each set"):
        classifier_two_sample_test(x, x, np.zeros(10, dtype=int), np.arange(10), rng=rng)
