"""The classes and cases of EMPS."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nanolab.core.checks import InputError
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.datasets.public import image_classes
from nanolab.experiments.iterations import smoothed
from nanolab.experiments.rings import semi_real_rings
from nanolab.experiments.shapes import CASES, SHAPES, can_be_cut_up, images_of
from nanolab.images.pixel_size import PixelSize
from nanolab.synthesis.cutpaste.settings import CutPasteSettings


def test_each_class_has_the_usable_images_of_its_shape(emps_folder: Path) -> None:
    table = image_classes()
    for shape in SHAPES:
        chosen = images_of(shape)
        expected = table.index[table["usable"] & (table["shape"] == shape)]
        assert [chosen[k].name for k in (0, len(chosen) - 1)] == [expected[0], expected[-1]]
        assert len(chosen) == len(expected)


def test_there_are_as_many_images_of_each_case_as_the_paper_had_or_more(emps_folder: Path) -> None:
    # one to cut up, and those of table 4 to test on: 39, 62 and 8
    least = {"gray particles": 40, "black particles": 63, "ordered rods": 9}
    for case in CASES:
        assert len(images_of(case=case)) >= least[case]


@pytest.mark.parametrize(("shape", "case"), [("", ""), ("cube", "ordered rods"), ("other", ""), ("", "rods")])
def test_what_is_not_a_class_or_a_case_is_refused(shape: str, case: str) -> None:
    with pytest.raises(InputError, match="give either a shape"):
        images_of(shape, case)


def test_an_image_without_a_whole_particle_cannot_be_cut_up(rng: np.random.Generator) -> None:
    inside, cut = np.zeros((2, 64, 64), np.int32)
    inside[20:40, 20:40] = cut[:30, 20:40] = 1
    grain = 0.05 * rng.random((64, 64), dtype=np.float32)
    usable = can_be_cut_up(CutPasteSettings(size_px=64))
    for labels, can in ((inside, True), (cut, False)):
        image = np.where(labels > 0, np.float32(0.8), np.float32(0.2)) + grain
        assert (
            usable(AnnotatedImage("made up", image, labels, PixelSize.unknown("made up"), Path("made up.tif"))) is can
        )


def test_smoothing_is_that_of_tensorboard() -> None:
    # its recursion: last = last * 0.6 + 0.4 * value, divided by 1 - 0.6**n
    values, last, expected = [1.0, 3.0, 2.0, 5.0], 0.0, []
    for n, value in enumerate(values, start=1):
        last = 0.6 * last + 0.4 * value
        expected.append(last / (1 - 0.6**n))
    assert smoothed(pd.Series(values)).tolist() == pytest.approx(expected)


def test_semi_real_rings_are_bright_bands_of_one_micrograph_each(emps_folder: Path) -> None:
    rings = semi_real_rings()
    assert rings is not None
    assert len(set(rings.names)) == len(rings) >= 20
    for at in (0, len(rings) - 1):
        sample = rings[at]
        assert sample.image.shape == sample.labels.shape == (321, 321)
        assert sample.path.stem == rings.names[at]
        assert 1 <= sample.labels.max() <= 3
        # a band of 4 to 7 px around a circle of 15 to 50 px has 0.3 to 2 % of the image; the border may cut it
        assert 0.001 < (sample.labels > 0).mean() < 0.08
        # half of a band or more is beads, which are brighter than their ground
        assert sample.image[sample.labels > 0].mean() > np.median(sample.image)
    np.testing.assert_array_equal(rings[0].image, rings[0].image)
