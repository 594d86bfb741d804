"""Fine-tuning on made-up micrographs: discs, squares and bars, which a small training must tell apart."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from nanolab.classification.classifier import ImageClassifier
from nanolab.classification.learning import ClassifierSettings, Learned, fine_tune
from nanolab.classification.scores import accuracies, confusion
from nanolab.core.checks import InputError
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.figures.classes import plot_confusion, plot_learning
from nanolab.images.pixel_size import PixelSize
from nanolab.models.checkpoint import save_checkpoint

SMALL = ClassifierSettings(epochs=3, steps_per_epoch=4, batch_size=8, side_px=80, learning_rate=2e-3)


def made_up(shape: str, number: int) -> AnnotatedImage:
    """Dark particles of a shape, turned and placed at random, on grainy ground."""
    rng = np.random.default_rng([number, len(shape)])
    image = np.full((120, 140), 0.7, np.float32)
    for _ in range(6):
        centre = rng.uniform(20, 120, 2)
        if shape == "disc":
            cv2.circle(image, centre.astype(int).tolist(), 13, 0.2, -1)
            continue
        box = cv2.boxPoints((centre.tolist(), (40, 7), rng.uniform(0, 180)))
        cv2.fillPoly(image, [box.astype(np.int32)], 0.2)
    image += 0.03 * rng.standard_normal(image.shape, dtype=np.float32)
    return AnnotatedImage(
        f"{shape} {number}", image.clip(0, 1), None, PixelSize.unknown("made up"), Path("made up.tif")
    )


def some(first: int, count: int) -> dict[str, list[AnnotatedImage]]:
    return {shape: [made_up(shape, k) for k in range(first, first + count)] for shape in ("disc", "bar")}


@pytest.fixture(scope="module")
def learned() -> Learned:
    return fine_tune(some(0, 4), SMALL, watched=some(100, 4), progress=False)


def test_shapes_are_told_apart_on_images_never_seen(learned: Learned) -> None:
    tested = [(shape, sample) for shape, those in some(200, 6).items() for sample in those]
    found = [learned.classifier.classify(sample.image) for _, sample in tested]
    counts = confusion([shape for shape, _ in tested], found, learned.classifier.classes)
    assert accuracies(counts)["accuracy"] >= 0.9  # discs and bars: one of twelve may be wrong
    assert learned.log["test_accuracy"].iloc[-1] >= 0.75
    assert list(learned.log["epoch"]) == [1, 2, 3]
    assert learned.log["loss"].iloc[-1] < learned.log["loss"].iloc[0]


def test_watching_changes_nothing_and_the_seed_decides_all(learned: Learned) -> None:
    again = fine_tune(some(0, 4), SMALL, progress=False)
    assert list(again.log.columns) == ["epoch", "loss", "accuracy"]
    assert again.log["loss"].tolist() == learned.log["loss"].tolist()
    other = fine_tune(some(0, 4), SMALL.model_copy(update={"seed": 1, "epochs": 1}), progress=False)
    assert other.log["loss"].iloc[0] != learned.log["loss"].iloc[0]


def test_the_first_layers_stay_as_they_were(learned: Learned) -> None:
    from nanolab.classification.backbones import load_backbone

    before = load_backbone("efficientnet-lite0")
    after = learned.classifier.network
    for name, value in before.frozen.state_dict().items():
        assert torch.equal(after.frozen.state_dict()[name].cpu(), value)
    moved = before.tuned.state_dict()
    assert not torch.equal(after.tuned.state_dict()["0._expand_conv.weight"].cpu(), moved["0._expand_conv.weight"])


def test_a_classifier_comes_back_from_its_file(learned: Learned, tmp_path: Path) -> None:
    image = made_up("disc", 300).image
    learned.classifier.save(tmp_path / "shapes.safetensors")
    loaded = ImageClassifier.load(tmp_path / "shapes.safetensors")
    expected = learned.classifier.probabilities(image)
    assert sum(expected.values()) == pytest.approx(1)
    # the memory layout of the weights differs, and with it the order of sums
    assert loaded.probabilities(image) == pytest.approx(expected, abs=1e-4)
    save_checkpoint(tmp_path / "other.safetensors", {"weight": torch.zeros(1)}, {"settings": {}})
    with pytest.raises(InputError, match="holds no classifier"):
        ImageClassifier.load(tmp_path / "other.safetensors")


def test_too_few_classes_or_images_are_refused() -> None:
    with pytest.raises(InputError, match="at least two"):
        fine_tune({"disc": [made_up("disc", 0)]}, SMALL)
    with pytest.raises(InputError, match="bar has none"):
        fine_tune({"disc": [made_up("disc", 0)], "bar": []}, SMALL)


def test_accuracy_weighs_classes_alike() -> None:
    truth = ["sphere"] * 8 + ["cube"] * 2
    counts = confusion(truth, ["sphere"] * 10, ["sphere", "cube"])
    assert counts.loc["cube", "sphere"] == 2
    scores = accuracies(counts)
    assert scores["accuracy"] == pytest.approx(0.5)
    assert scores["accuracy_of_images"] == pytest.approx(0.8)
    assert (scores["recall_sphere"], scores["recall_cube"]) == (1, 0)


def test_figures_show_shares_counts_and_both_curves(learned: Learned) -> None:
    counts = confusion(["a"] * 4 + ["b"], ["a", "a", "a", "b", "b"], ["a", "b"])
    texts = [text.get_text() for text in plot_confusion(counts).axes[0].texts]
    assert texts == ["0.75\n3 of 4", "0.25\n1 of 4", "1.00\n1 of 1"]
    figure = plot_learning([learned.log, learned.log])
    lines = {line.get_label(): line.get_ydata() for line in figure.axes[1].lines}
    np.testing.assert_allclose(lines["test images"], learned.log["test_accuracy"])
    with pytest.raises(InputError, match="b has none"):
        plot_confusion(confusion(["a"], ["a"], ["a", "b"]))
