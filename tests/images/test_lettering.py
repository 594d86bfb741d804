"""What was read in a picture is no particle, and what only looks like letters stays."""

import numpy as np
import pytest

from nanolab.images import lettering
from nanolab.images.formats.bars import Bar
from nanolab.images.formats.ocr import Text
from nanolab.images.lettering import read_lettering, sure_boxes, without_lettering


def three_particles() -> np.ndarray:
    labels = np.zeros((40, 60), np.int32)
    labels[2:10, 2:10], labels[20:30, 20:30], labels[30:36, 40:50] = 1, 2, 3
    return labels


class TestRemoving:
    def test_what_lies_in_a_box_is_left_out_and_the_others_are_numbered_anew(self) -> None:
        labels, count = without_lettering(three_particles(), [(18, 18, 32, 32)])
        assert count == 1
        assert np.array_equal(np.unique(labels), [0, 1, 2])
        assert (labels[30:36, 40:50] == 2).all()

    def test_a_particle_behind_a_letter_stays(self) -> None:
        labels, count = without_lettering(three_particles(), [(20, 20, 27, 30)])  # 7 of its 10 rows
        assert count == 0
        assert np.array_equal(labels, three_particles())

    def test_nothing_changes_where_nothing_was_read(self) -> None:
        labels = three_particles()
        assert without_lettering(labels, ())[0] is labels

    def test_a_box_in_a_data_bar_that_was_cut_off_does_no_harm(self) -> None:
        assert without_lettering(three_particles()[:30], [(32, 0, 40, 60)])[1] == 0

    def test_an_image_without_particles(self) -> None:
        assert without_lettering(np.zeros((40, 60), np.int32), [(0, 0, 40, 60)])[1] == 0


class TestReading:
    def test_a_line_that_is_surely_read_has_a_box_of_whole_pixels(self) -> None:
        assert list(sure_boxes([Text("200 nm", -0.4, 3.2, 11.7, 40.1, 0.97)])) == [(0, 3, 12, 41)]

    def test_unsure_lines_and_what_particles_are_read_as_have_none(self) -> None:
        read = [Text(content, 0, 0, 9, 9, 0.99) for content in ("o", "O", "00", "oO .", "8", "-", "●")]
        assert list(sure_boxes([*read, Text("200 nm", 0, 0, 9, 40, 0.85)])) == []

    def test_the_bar_has_one(self) -> None:
        bar = Bar(10, 14, (5.5, 40.5), (None, None), 1, 200.0)
        assert list(sure_boxes([], bar)) == [(9, 4, 15, 42)]

    def test_a_picture_is_read_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pictures: list[np.ndarray] = []
        monkeypatch.setattr(lettering, "read_lines", lambda pixels: pictures.append(pixels) or [])
        one = np.random.default_rng(1).random((20, 30), dtype=np.float32)
        assert read_lettering(one) == read_lettering(one.copy())
        read_lettering(1 - one)
        assert len(pictures) == 2
