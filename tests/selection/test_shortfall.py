"""The test of the ways of choosing, on tables and networks whose answer is known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from helpers.discs import disc_sample

from nanolab.core.checks import InputError
from nanolab.selection.choosing import score_epochs, score_found
from nanolab.selection.predictions import predictions_of, validation_predictions, validation_sample
from nanolab.selection.shortfall import epochs_on_images, shortfalls
from nanolab.training.run import TrainingRun


def test_shortfall_is_what_the_other_images_lose() -> None:
    table = pd.DataFrame(
        {
            "image": ["a"] * 3 + ["b"] * 3 + ["c"] * 3,
            "epoch": [1, 2, 3] * 3,
            "dice": [0.9, 0.8, 0.7, 0.5, 0.8, 0.7, 0.7, 0.8, np.nan],
            "guess": [0, 0, 1, 1, 0, 0, 0, 1, 0],
        }
    )
    rows = shortfalls(table).set_index(["way", "chosen_on"])
    # image a takes epoch 1; on b and c its mean is 0.6, and epoch 2 has 0.8
    assert rows.loc[("dice", "a"), ["epoch", "score", "best", "shortfall"]].tolist() == pytest.approx(
        [1, 0.6, 0.8, 0.2]
    )
    assert rows.loc[("guess", "a"), "shortfall"] == pytest.approx(0.8 - 0.35)  # nothing found counts 0
    assert rows.loc[("last epoch", "b"), "score"] == pytest.approx(0.35)
    assert rows.loc[("any epoch", "a"), "score"] == pytest.approx((0.6 + 0.8 + 0.35) / 3)
    assert (rows["shortfall"] >= 0).all()


def test_one_image_cannot_test(tiny_run: TrainingRun) -> None:
    table = pd.DataFrame({"image": ["a"], "epoch": [1], "dice": [1.0]})
    with pytest.raises(InputError, match="at least 2 images"):
        shortfalls(table)
    with pytest.raises(InputError, match="no column recall"):
        shortfalls(pd.concat([table, table.assign(image="b")]), by="recall")
    bare = replace(disc_sample(4), labels=None)
    with pytest.raises(InputError, match="discs4: must be annotated"):
        epochs_on_images(tiny_run, [bare], progress=False)


def test_epochs_find_elsewhere_what_they_found_while_training(tiny_run: TrainingRun) -> None:
    sample = disc_sample(9)  # the validation image of the training
    assert validation_sample(tiny_run, [disc_sample(1), sample]) is not None
    kept = validation_predictions(tiny_run)
    table = epochs_on_images(tiny_run, [sample, disc_sample(8)], mirrors=True, progress=False)
    own = table[table["image"] == "discs9"].reset_index(drop=True)
    expected = score_epochs(tiny_run, sample.labels)
    # what is kept is rounded to 1/510, which may turn a pixel at the threshold
    assert own["dice"].to_numpy() == pytest.approx(expected["dice"].to_numpy(), abs=0.01)
    pd.testing.assert_frame_equal(
        score_found({epoch: each.labels for epoch, each in kept.items()}, sample.labels), expected
    )
    assert own["mirrors"].between(0, 1).all()
    assert set(shortfalls(table)["way"]) >= {"dice", "mirrors", "agreement", "last epoch", "any epoch"}


def test_what_was_found_is_not_computed_again(tiny_run: TrainingRun) -> None:
    first = predictions_of(tiny_run, [disc_sample(7)], mirrors=True, progress=False)
    for epoch in tiny_run.epochs:
        tiny_run.checkpoint(epoch).write_bytes(b"damaged")
    again = predictions_of(tiny_run, [disc_sample(7)], mirrors=True, progress=False)
    assert np.array_equal(first["discs7"][2], again["discs7"][2])
    assert len(again["discs7"][1]) == 4


def test_a_validation_image_that_is_not_there_is_named(tiny_run: TrainingRun) -> None:
    with pytest.raises(InputError, match=r"validation image 'discs9' of .* is not among the 1"):
        validation_sample(tiny_run, [disc_sample(1)])
