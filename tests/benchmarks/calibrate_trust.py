"""Calibrate trust for the weights that ship.

    PYTHONPATH=tests python tests/benchmarks/calibrate_trust.py RENDERED... --check emps bam-tio2 --tune emps:47

RENDERED are recipes, of which `--most` images of `--seed` are rendered, or folders of rendered images. Of each,
images of even number are fitted to and those of odd number checked. `--tune emps:47` also fits trust in images to so
many of a public set, and keeps the others for checking. What was found is kept in `--cache`, so that a second run
takes seconds; the first takes about 2 s an image on one core. Writes `data/models/trust.json` and prints reliability,
Brier score, expected calibration error and AUROC.
"""

import argparse
import random
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import pandas as pd
from helpers.rendered import opened
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.preprocessing import StandardScaler

from nanolab.core.files import read_json, sha256, write_json
from nanolab.datasets.annotated import LazyImages
from nanolab.datasets.public import public_images
from nanolab.measurement.particles import equivalent_diameter
from nanolab.metrics.instance import match
from nanolab.models.shipped import shipped_model
from nanolab.segmentation.segmenter import Segmenter
from nanolab.segmentation.trust import CLOSE, Evidence, image_features, particle_features, probabilities

KINDS = {"auto": "auto", "fixed": 1.0}
OF_PARTICLES = {
    "auto": ["likelihood"],
    "fixed": ["certainty", "solidity"],
}
OF_IMAGES = {"auto": ["least", "margin", "spread", "unexplained"], "fixed": ["trust", "margin"]}
MIN_AREA_PX = 30  # of particles that count for the median
TUNED_WEIGHT = 3.0  # of a real image in the fit, against a rendered one


def record(evidence: Evidence, labels: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    """Return the features of an image, which particles match a true one, and the true median ECD in px, 0 if none."""
    particles = particle_features(evidence, labels)
    right = np.isin(np.arange(1, len(particles) + 1), match(truth, labels).pairs[:, 1])
    return {
        "facts": evidence.facts(),
        "particles": particles.dropna(axis="columns").to_dict("list"),  # one magnification gives no likelihood
        "right": right.tolist(),
        "true": _median(equivalent_diameter(np.bincount(truth.ravel())[1:])),
    }


def _median(diameters: np.ndarray) -> float:
    counted = diameters[diameters >= equivalent_diameter(np.array(MIN_AREA_PX))]
    return float(np.median(counted)) if len(counted) else 0.0


def records(
    images: LazyImages, name: str, cache: Path, finders: dict[str, Segmenter], *, only_cached: bool
) -> list[dict[str, Any]]:
    """Return the records of the images of a set, by kind, from the cache where they are there."""
    result = []
    for number, image_name in enumerate(images.names):
        file = cache / f"{name}__{image_name}.json"
        if not file.exists() and not only_cached:
            image = images[number]
            found = {kind: finder.find(image.image) for kind, finder in finders.items()}
            write_json(file, {kind: record(each.evidence, each.labels, image.labels) for kind, each in found.items()})
        if file.exists():
            result.append({"set": name, "number": number, **read_json(file)})
    return result


def shuffled(images: LazyImages) -> LazyImages:
    """Return the images in the order in which the first 47 of EMPS were used for tuning before."""
    names = list(images.names)
    random.Random(0).shuffle(names)  # noqa: S311  # no secret
    return LazyImages(names, images._load)


def features(one: dict[str, Any]) -> pd.DataFrame:
    """Return the features of the particles of a record, with the columns also where there is none."""
    columns = dict.fromkeys([*OF_PARTICLES["auto"], *OF_PARTICLES["fixed"], "touches", "ecd"])
    return pd.DataFrame(one["particles"], columns=list(columns)).astype(float)


def fitted(known: pd.DataFrame, right: pd.Series, weight: Any = None, strength: float = 1.0) -> dict[str, Any]:
    """Return intercept and weights of a logistic regression, in the units of the features."""
    scaler = StandardScaler().fit(known)
    model = LogisticRegression(C=strength, max_iter=1000).fit(scaler.transform(known), right, sample_weight=weight)
    weights = model.coef_[0] / scaler.scale_
    return {
        "intercept": round(float(model.intercept_[0] - weights @ scaler.mean_), 4),
        "weights": dict(zip(known, np.round(weights, 4).tolist(), strict=True)),
    }


def told(name: str, trust: pd.Series, right: pd.Series) -> None:
    """Print how far a trust holds."""
    if not len(right):
        return
    trust, right = trust.to_numpy(), right.to_numpy(dtype=bool)
    bins = np.clip((trust * 5).astype(int), 0, 4)
    kept = [bins == each for each in range(5) if (bins == each).any()]
    rows = [f"{trust[each].mean():.2f}->{right[each].mean():.2f} ({each.sum()})" for each in kept]
    ece = sum(each.mean() * abs(trust[each].mean() - right[each].mean()) for each in kept)
    score = f"n {len(right)}, mean {trust.mean():.3f}->{right.mean():.3f}, Brier {brier_score_loss(right, trust):.3f}"
    auroc = roc_auc_score(right, trust) if 0 < right.mean() < 1 else np.nan
    best = np.argsort(-trust)[: round(0.8 * len(trust))]
    print(f"{name:<28}{score}, ECE {ece:.3f}, AUROC {auroc:.3f}, best 80 % {right[best].mean():.3f} | {' '.join(rows)}")


def calibrate(images: list[dict[str, Any]], rendered: set[str], tuned: dict[str, int], kind: str) -> dict[str, Any]:
    """Fit trust of one kind and print how it does on what it was not fitted to."""
    about = pd.DataFrame(images)[["set", "number"]]
    about["rendered"] = about["set"].isin(rendered)
    about["tuned"] = about["number"] < about["set"].map(tuned).fillna(0)
    about["fitted"] = (about["rendered"] & (about["number"] % 2 == 0)) | about["tuned"]
    parts = [features(one[kind]).assign(right=one[kind]["right"], row=row) for row, one in enumerate(images)]
    particles = pd.concat([each for each in parts if len(each)], ignore_index=True)
    particles = particles.join(about, on="row")
    some = particles[particles["fitted"] & particles["rendered"]]
    # or images with hundreds of particles would decide
    weight = 1 / np.sqrt(some.groupby("row")["right"].transform("size"))
    of_particles = fitted(some[OF_PARTICLES[kind]], some["right"], weight / weight.mean())
    particles["trust"] = probabilities(of_particles, particles)
    rows, ratios = [], []
    for one, part in zip(images, parts, strict=True):
        trust = probabilities(of_particles, part)
        rows.append(image_features(one[kind]["facts"], part, trust))
        ratios.append(_median(part["ecd"].to_numpy()) / one[kind]["true"])
    ratios = np.array(ratios)
    about = about.join(pd.concat(rows, ignore_index=True)).assign(right=abs(ratios - 1) <= CLOSE)
    use = about[about["fitted"]]
    of_images = fitted(use[OF_IMAGES[kind]], use["right"], np.where(use["tuned"], TUNED_WEIGHT, 1.0), strength=0.3)
    about["trust_in_image"] = probabilities(of_images, about)
    print(f"--- {kind}: particles", of_particles["weights"], "images", of_images["weights"])
    for what, frame, trust in (("particles", particles, "trust"), ("images", about, "trust_in_image")):
        for name in ["rendered", *sorted(set(about["set"]) - rendered)]:
            of_it = frame[frame["rendered"] if name == "rendered" else frame["set"] == name]
            told(f"{what}, {name}, all", of_it[trust], of_it["right"])
            told(f"{what}, {name}, kept back", of_it[trust][~of_it["fitted"]], of_it["right"][~of_it["fitted"]])
    return {"particles": of_particles, "image": of_images}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rendered", nargs="+", help="recipes, or folders of rendered images")
    parser.add_argument("--check", nargs="*", default=[], help="public sets")
    parser.add_argument("--tune", nargs="*", default=[], metavar="SET:COUNT")
    parser.add_argument("--cache", type=Path, default=Path("papermill_runs/trust"))
    parser.add_argument("--most", type=int, default=3, help="images of each rendered set")
    parser.add_argument("--seed", type=int, default=9500, help="of recipes")
    parser.add_argument("--only-cached", action="store_true", help="leave out images that are not in the cache")
    chosen = parser.parse_args()
    network, began = sha256(shipped_model()), monotonic()
    cache = chosen.cache / network[:12]
    cache.mkdir(parents=True, exist_ok=True)
    tuned = {name: int(count) for name, count in (each.split(":") for each in chosen.tune)}
    rendered = dict(opened(each, chosen.most, chosen.seed) for each in chosen.rendered)
    sets = dict(rendered)
    sets |= {name: shuffled(public_images(name)) for name in chosen.check}
    finders = {kind: Segmenter(shipped_model(), magnification=value) for kind, value in KINDS.items()}
    found = [
        one
        for name, images in sets.items()
        for one in records(images, name, cache, finders, only_cached=chosen.only_cached)
        if one["auto"]["true"]
    ]
    print(pd.Series([one["set"] for one in found]).value_counts(sort=False).to_dict())
    result = {kind: {"network": network, **calibrate(found, set(rendered), tuned, kind)} for kind in KINDS}
    write_json(shipped_model().with_name("trust.json"), result)
    print(f"{shipped_model().with_name('trust.json')}: for weights {network[:12]}, {monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
