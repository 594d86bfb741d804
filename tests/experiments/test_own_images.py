"""Experiments on images of one's own: which are taken, and what is refused before anything else is done."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from helpers.own_images import disc_images, write_own
from PIL import Image

from nanolab import synthesis
from nanolab.core.checks import InputError
from nanolab.experiments.images import real_images
from nanolab.runs.parameters import code_cells

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
NEED_ANNOTATION = (
    *("02_cut_and_paste", "04_training", "06_size_statistics", "07_ratio_sweep", "09_model_comparison"),
    *("11_real_against_synthetic", "12_few_annotations"),
)


def test_annotated_images_of_a_folder_are_taken(tmp_path: Path) -> None:
    folder = write_own(tmp_path / "mine", disc_images(3))
    (folder / "probe (#1)_cp_masks.png").unlink()
    assert len(real_images(folder).images) == 3
    real = real_images(folder, annotated=True)
    assert [image.name for image in real.images] == ["probe (#0)", "probe (#2)"]
    assert (real.source, real.title, real.min_area_px, real.stand_in) == (str(folder), "mine", 0, False)


def test_a_mask_that_does_not_fit_or_is_empty_is_said_at_once(tmp_path: Path) -> None:
    folder = write_own(tmp_path / "mine", disc_images(2))
    mask = folder / "probe (#1)_cp_masks.png"
    Image.fromarray(np.kron(np.eye(5, dtype=np.uint8), np.ones((10, 10), np.uint8))).save(mask)
    with pytest.raises(InputError, match=r"probe \(#1\)_cp_masks\.png: both must have one size"):
        real_images(folder, annotated=True)
    for number in range(2):
        Image.fromarray(np.zeros((160, 160), np.uint8)).save(folder / f"probe (#{number})_cp_masks.png")
    with pytest.raises(InputError, match="mine: needs annotated particles, found none"):
        real_images(folder, annotated=True)


def test_a_case_of_emps_is_no_case_of_other_images(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="case: 'ordered rods' is of images of emps; leave it empty for bam-tio2"):
        real_images("bam-tio2", case="ordered rods")


@pytest.mark.parametrize("notebook", NEED_ANNOTATION)
def test_a_notebook_that_needs_annotation_says_so_before_it_starts(
    notebook: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(synthesis, "rendered_images", lambda *_, **__: pytest.fail("rendered first"))
    folder = str(write_own(tmp_path / "mine", disc_images(2), masks=False))
    given = {"test_data": [folder]} if notebook == "04_training" else {"real_data": folder}
    parameters, *steps = [cell.code for cell in code_cells(NOTEBOOKS / f"{notebook}.ipynb")]
    script = tmp_path / "notebook.py"
    script.write_text("\n".join([parameters, *(f"{name} = {value!r}" for name, value in given.items()), *steps]))
    with pytest.raises(InputError, match=r"mine: needs annotated images, found no annotation of its 2; save masks"):
        runpy.run_path(str(script))
