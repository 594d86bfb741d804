"""Fit what tells which candidates are particles, for the weights that ship.

    PYTHONPATH=tests python tests/benchmarks/fit_candidates.py RENDERED...

RENDERED are recipes, of which `--most` images of `--seed` are rendered, two of five with lettering, or folders of
rendered images; the network must not have learned from them. One that is named twice counts twice. Writes
`data/models/candidates.safetensors` and prints how well candidates of every sixth image are told apart when these are
left out of the fit. What is computed of each image is kept in `--cache`; it takes about 2 s an image on one core.
Trust is to be calibrated afterwards, on other images.
"""

import argparse
from pathlib import Path
from time import monotonic

import numpy as np
import torch
from helpers.rendered import opened
from safetensors.numpy import load_file, save_file
from sklearn.metrics import roc_auc_score
from torch import nn

from nanolab.core.files import sha256
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.models.shipped import shipped_model
from nanolab.segmentation.candidates import FEATURES, likelihood
from nanolab.segmentation.segmenter import Segmenter

NETWORKS, WIDTH, EPOCHS, BATCH, RATE = 3, 48, 30, 2048, 3e-3
SURELY_NOT, SURELY = 0.45, 0.95  # IoU, between which the target rises from 0 to 1
LEFT_OUT = 6  # every n-th image of a recipe


def known_of(segmenter: Segmenter, image: AnnotatedImage) -> dict[str, np.ndarray]:
    """Return the features of the candidates of an image, and the IoU of each with the true particle nearest to it."""
    parts = segmenter.candidates(image.image)
    truth = image.labels.astype(np.int32)
    return {
        "features": np.concatenate([np.zeros((0, len(FEATURES))), *(each.features for each in parts)]),
        "ious": np.concatenate([np.zeros(0), *(each.likeness(truth) for each in parts)]),
    }


def gathered(rendered: list[str], cache: Path, most: int, seed: int) -> list[tuple[int, dict[str, np.ndarray]]]:
    """Return what is known of all images, and their numbers, from the cache where it is there."""
    segmenter, result = Segmenter(shipped_model(), magnification="auto"), []
    for each in rendered:
        folder, images = opened(each, most, seed)
        for number, name in enumerate(images.names):
            file = cache / f"{folder}__{name}.safetensors"
            if not file.exists():
                save_file(known_of(segmenter, images[number]), file)
            result.append((number, load_file(file)))
        print(folder, len(images.names), flush=True)
    return [(number, known) for number, known in result if len(known["ious"])]


def network(seed: int) -> nn.Sequential:
    """Return a network with fresh weights."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(len(FEATURES), WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH), nn.SiLU(), nn.Linear(WIDTH, 1)
    )


def fitted(features: torch.Tensor, target: torch.Tensor, weight: torch.Tensor, seed: int) -> nn.Sequential:
    """Return a network that has learned the target."""
    net = network(seed)
    steps = EPOCHS * (len(features) // BATCH + 1)
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    for _ in range(steps):
        some = torch.randint(0, len(features), (BATCH,))
        loss = nn.functional.binary_cross_entropy_with_logits(
            net(features[some])[:, 0], target[some], weight=weight[some]
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return net


def weights_of(images: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return what `nanolab.segmentation.candidates.likelihood` takes, fitted to these images."""
    features = np.concatenate([each["features"] for each in images])
    ious = np.concatenate([each["ious"] for each in images])
    # or images with thousands of candidates would decide
    weight = np.concatenate([np.full(len(each["ious"]), len(each["ious"]) ** -0.5) for each in images])
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-3
    given = torch.tensor(np.clip((features - mean) / scale, -4, 4), dtype=torch.float32)
    target = torch.tensor(np.clip((ious - SURELY_NOT) / (SURELY - SURELY_NOT), 0, 1), dtype=torch.float32)
    nets = [
        fitted(given, target, torch.tensor(weight / weight.mean(), dtype=torch.float32), each)
        for each in range(NETWORKS)
    ]
    layers = [[net[2 * layer] for net in nets] for layer in range(3)]
    result = {"mean": mean.astype(np.float32), "scale": scale.astype(np.float32)}
    for number, layer in enumerate(layers):
        result[f"weight_{number}"] = np.stack([each.weight.detach().numpy().T for each in layer])
        result[f"bias_{number}"] = np.stack([each.bias.detach().numpy() for each in layer])
    return {name: np.ascontiguousarray(values) for name, values in result.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rendered", nargs="+", help="recipes, or folders of rendered images")
    parser.add_argument("--cache", type=Path, default=Path("papermill_runs/candidates"))
    parser.add_argument("--most", type=int, default=50, help="images of each")
    parser.add_argument("--seed", type=int, default=9000, help="of recipes")
    chosen = parser.parse_args()
    began, model = monotonic(), shipped_model()
    cache = chosen.cache / sha256(model)[:12]
    cache.mkdir(parents=True, exist_ok=True)
    images = gathered(chosen.rendered, cache, chosen.most, chosen.seed)
    weights = weights_of([each for number, each in images if number % LEFT_OUT])
    left_out = [each for number, each in images if number % LEFT_OUT == 0]
    right = np.concatenate([each["ious"] for each in left_out]) >= 0.5
    told = likelihood(np.concatenate([each["features"] for each in left_out]), weights)
    print(f"{len(images)} images, {len(right)} candidates left out, AUROC {roc_auc_score(right, told):.4f}")
    save_file(weights_of([each for _, each in images]), model.with_name("candidates.safetensors"))
    print(f"{model.with_name('candidates.safetensors')}: for weights {sha256(model)[:12]}, {monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
