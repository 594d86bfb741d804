"""Classifier two-sample test: can a classifier tell the two sets apart? (Lopez-Paz & Oquab 2017, arXiv:1610.06545)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from nanolab.core.checks import InputError

__all__ = ["TwoSampleTest", "classifier_two_sample_test"]

_FOLDS = 5


@dataclass(frozen=True)
class TwoSampleTest:
    """The outcome: `accuracy` is the mean of the two sets', 0.5 where nothing tells them apart, 1 where anything does.

    `first` and `second` are the probabilities, one a vector, that it is of the second set, given by a classifier that
    saw no vector of the same image.
    """

    accuracy: float
    first: npt.NDArray[np.float64]
    second: npt.NDArray[np.float64]


def classifier_two_sample_test(
    first: npt.NDArray[np.floating],
    second: npt.NDArray[np.floating],
    first_groups: npt.NDArray[np.integer],
    second_groups: npt.NDArray[np.integer],
    *,
    rng: np.random.Generator,
) -> TwoSampleTest:
    """Cross-validate a classifier that tells two samples apart, in up to five folds of whole images.

    It is a logistic regression on the standardised features and their squares, so that it sees a difference in spread
    as well as one in the mean. Below 0.5 is possible and means no more than 0.5: images held out are unlike those left
    on their side.

    Parameters
    ----------
    first, second
        Shape (vectors, features); few features against vectors, such as principal components.
    first_groups, second_groups
        Image of each vector, shape (vectors,); the two sets share none.

    Raises
    ------
    InputError
        If a set has less than two images.
    """
    folds = min(_FOLDS, len(np.unique(first_groups)), len(np.unique(second_groups)))
    if folds < 2:
        raise InputError("two-sample test: needs patches of at least two images in each set; add images")
    features = np.concatenate([first, second]).astype(np.float64)
    features = (features - features.mean(axis=0)) / np.maximum(features.std(axis=0), 1e-9)
    features = np.concatenate([features, features**2], axis=1)
    is_second = np.repeat([0, 1], [len(first), len(second)])
    fold = np.concatenate([_fold_of(groups, folds, rng) for groups in (first_groups, second_groups)])
    probability = np.empty(len(features))
    for held_out in range(folds):
        out = fold == held_out
        model = LogisticRegression(solver="newton-cholesky", class_weight="balanced")
        probability[out] = model.fit(features[~out], is_second[~out]).predict_proba(features[out])[:, 1]
    right = (probability > 0.5) == is_second
    accuracy = (right[: len(first)].mean() + right[len(first) :].mean()) / 2
    return TwoSampleTest(float(accuracy), probability[: len(first)], probability[len(first) :])


def _fold_of(groups: npt.NDArray[np.integer], folds: int, rng: np.random.Generator) -> npt.NDArray[np.integer]:
    """Deal the images of a set out to the folds; shape (vectors,)."""
    names, member = np.unique(groups, return_inverse=True)
    return np.asarray(rng.permutation(len(names))[member] % folds)
