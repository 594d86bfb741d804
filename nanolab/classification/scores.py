"""How well classes were found."""

from collections.abc import Sequence

import pandas as pd
from sklearn.metrics import confusion_matrix

__all__ = ["accuracies", "confusion"]


def confusion(truth: Sequence[str], predicted: Sequence[str], classes: Sequence[str]) -> pd.DataFrame:
    """Count the images of each true class (row) that were taken for each class (column).

    Examples
    --------
    >>> confusion(["cube", "cube", "rod"], ["cube", "rod", "rod"], ["cube", "rod"]).to_numpy().tolist()
    [[1, 1], [0, 1]]
    """
    counts = confusion_matrix(truth, predicted, labels=list(classes))
    return pd.DataFrame(
        counts, index=pd.Index(classes, name="true class"), columns=pd.Index(classes, name="predicted class")
    )


def accuracies(counts: pd.DataFrame) -> dict[str, float]:
    """Return what share of the images was taken for what it is, by the counts of `confusion`.

    Returns
    -------
    accuracies
        `accuracy`: the mean over the classes (balanced accuracy), so that a class of few images weighs as much as one
        of many and guessing gives 1 / classes; `accuracy_of_images`: over all images; and `recall_<class>` of each.

    Examples
    --------
    >>> accuracies(confusion(["cube", "cube", "cube", "rod"], ["cube", "cube", "rod", "rod"], ["cube", "rod"]))
    {'accuracy': 0.8333333333333333, 'accuracy_of_images': 0.75, 'recall_cube': 0.6666666666666666, 'recall_rod': 1.0}
    """
    right = pd.Series({name: counts.loc[name, name] for name in counts.index})
    recalls = right / counts.sum(axis=1)
    return {
        "accuracy": float(recalls.mean()),
        "accuracy_of_images": float(right.sum() / counts.to_numpy().sum()),
        **{f"recall_{name}": float(value) for name, value in recalls.items()},
    }
