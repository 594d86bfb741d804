"""How well real micrographs are segmented by networks that have seen none. `make bench` prints the tables.

The first takes half an hour on two cores, the second a quarter; both need the real images.
"""

from pathlib import Path

import pandas as pd
import pytest

from nanolab.core.files import read_json
from nanolab.datasets import public
from nanolab.models.shipped import shipped_model
from nanolab.runs.notebook import run as run_notebook
from nanolab.segmentation.scoring import compare_images, score_groups
from nanolab.segmentation.segmenter import Segmenter

pytestmark = pytest.mark.bench
NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "04_training.ipynb"
SCORES = ["images", "dice", "instance_precision_50", "instance_recall_50", "instance_f1_50", "coco_ap", "n_found"]


def test_trained_on_rendered_images_and_on_real_ones(
    bam_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NANOLAB_DATA", str(bam_folder.parent.resolve()))
    monkeypatch.chdir(tmp_path)  # where the rendered images come to
    folder = run_notebook(NOTEBOOK, {}, run="bench", root=tmp_path)
    results, log = read_json(folder / "results.json"), pd.read_csv(folder / "training" / "log.csv")
    rows = {"rendered": results["scores"]["bam-tio2"]["all"]} | results["real_against_rendered"]
    table = pd.DataFrame.from_dict(rows, orient="index")
    print(f"\nBAM TiO2, trained on\n{table[[name for name in SCORES if name in table]].round(3).to_string()}")
    print(f"{log['seconds'].median():.0f} s an epoch of {results['settings']['steps_per_epoch']} steps")


@pytest.mark.parametrize(("name", "folder"), [("bam-tio2", "bam_folder"), ("emps", "emps_folder")])
def test_the_network_that_ships(name: str, folder: str, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue(folder)  # skips where it is not here
    samples, groups = list(public.public_images(name)), {}
    if name == "emps":
        classes = public.image_classes()
        groups = (classes["shape"] + ", " + classes["modality"])[classes["usable"]].to_dict()
        samples = [sample for sample in samples if sample.name in groups]
    segmenter = Segmenter(shipped_model(), magnification="auto")
    found = compare_images(segmenter, samples, min_area_px=public.PUBLIC[name].min_area_px)
    print(f"\n{name}, the network that ships\n{score_groups(found, groups)[SCORES].round(3).to_string()}")
