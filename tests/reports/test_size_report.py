"""The pages of a report on sizes: what they say and show."""

import re
from dataclasses import replace
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.grid_discs import discs
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from openpyxl import load_workbook

from nanolab import __version__
from nanolab.core.files import read_json
from nanolab.core.tables import significant
from nanolab.figures.size_report import plot_report_images, plot_report_page
from nanolab.figures.sizes import plot_distribution, plot_particle_sizes, size_tenths
from nanolab.images.pixel_size import PixelSize
from nanolab.measurement.size_sample import size_sample
from nanolab.measurement.summary import MeasuredImage, measure_image, summarise_sizes
from nanolab.reports.sizes import size_report

KNOWN = PixelSize.typed(2.0)


def images(count: int = 3) -> list[MeasuredImage]:
    """Make images of discs, each with a square that the border cuts."""
    made = []
    for k in range(count):
        labels = discs(k)
        labels[:4, :4] = 99
        made.append(measure_image(f"i{k}", labels, pixel_size=KNOWN, image=discs(k) / 32, made_by="net, 3 corrections"))
    return made


def words(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text))


def test_a_report_says_who_made_it_of_what_and_how(tmp_path: Path) -> None:
    report = size_report(images(), tmp_path, min_area_px=5, seed=3)
    said = {row[0].value: row[1].value for row in load_workbook(tmp_path / "sizes.xlsx")["about"].iter_rows()}
    assert said["report by"] == f"nanolab {__version__}, {date.today().isoformat()}"
    assert said["particles found by"] == "net, 3 corrections"
    assert "quantity ecd, border correct, min area px 5, fit auto, seed 3" in said["settings"]
    saved = read_json(tmp_path / "sizes.json")
    assert (saved["settings"]["seed"], saved["made_by"]) == (3, ["net, 3 corrections"])
    page = words(plot_report_page(report, images(), [f"Settings: {said['settings']}"]))
    assert "quantity ecd, border correct" in page
    assert "16 particles, 1 not counted (white)" in page


def test_fonts_are_truetype_and_every_image_has_a_place(tmp_path: Path) -> None:
    size_report(images(17), tmp_path)
    content = (tmp_path / "report.pdf").read_bytes()
    assert b"/Type3" not in content
    assert b"/FontFile2" in content
    assert len(re.findall(rb"/Type /Page\b", content)) == 4  # of numbers, of how well D50 is known, of 15 images, of 2
    pages = plot_report_images(summarise_sizes(images(17), repeats=20), images(17))
    assert [sum(f"i{k}:" in words(page) for k in range(17)) for page in pages] == [15, 2]


def test_particles_that_do_not_count_are_outlined_in_white() -> None:
    (image,) = images(1)
    inside = image.particles[~image.particles["touches_border"]]
    shown = plot_particle_sizes(image.image, image.labels, inside).axes[0].images[-1].get_array()
    outline = np.zeros((4, 4), bool)
    outline[3], outline[:, 3] = True, True  # its sides within the image
    np.testing.assert_array_equal(shown[:4, :4][outline], np.ones((7, 4)))
    np.testing.assert_array_equal(shown[:3, :3], np.broadcast_to((1, 1, 1, 0.15), (3, 3, 4)))
    assert (shown[image.labels == 0][:, 3] == 0).all()


def test_an_image_not_at_hand_is_not_black() -> None:
    report = summarise_sizes(images(1), repeats=20)
    figure = plot_report_page(report, [replace(image, image=None) for image in images(1)])
    assert "image not at hand" in words(figure)
    grey = next(axes for axes in figure.findobj() if getattr(axes, "images", None)).images[0].get_array()
    assert grey.min() == grey.max() > 0.5


def test_each_colour_has_a_tenth_of_the_particles(rng: np.random.Generator) -> None:
    sizes = np.sort(np.exp(rng.normal(size=1000)))
    tenths = size_tenths(sizes, np.ones(1000))
    # a size at an edge belongs to the colour above it
    np.testing.assert_allclose(np.histogram(sizes, tenths)[0], 100, atol=2)
    assert len(size_tenths(np.array([5.0]), np.ones(1))) == 2
    assert size_tenths(np.array([1.0, 1.0, 2.0]), np.ones(3)).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("sizes", "labels"),
    [
        (np.linspace(10, 20, 100), ["D10", "D50", "D90"]),
        (np.append(np.full(99, 10.0), 30.0), ["D10, D50, D90"]),
        (np.repeat([10.0, 11.0, 30.0], [40, 30, 30]), ["D10, D50", "D90"]),
    ],
)
def test_labels_of_percentiles_do_not_overlap(sizes: np.ndarray, labels: list[str]) -> None:
    columns = {"ecd_px": sizes, "area_px": sizes**2, "image": "a", "touches_border": False}
    figure = plot_distribution(size_sample(pd.DataFrame(columns), border="keep"), bins=20)
    figure.draw_without_rendering()
    found = [each for each in figure.axes[0].texts if isinstance(each, Annotation)]
    assert [each.get_text() for each in found] == labels
    boxes = [each.get_window_extent() for each in found]
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


def test_tables_have_four_digits_and_filters(tmp_path: Path) -> None:
    size_report(images(), tmp_path, page=False)
    table = (tmp_path / "particles.csv").read_text(encoding="utf-8").splitlines()[1:]
    numbers = [word for line in table for word in line.split(",") if re.fullmatch(r"-?[\d.]+(e-?\d+)?", word)]
    digits = [len(re.sub(r"e.*|\D", "", number).strip("0")) for number in numbers if "." in number]
    assert max(digits) == 4
    sheet = load_workbook(tmp_path / "sizes.xlsx")["particles"]
    assert sheet.auto_filter.ref == sheet.dimensions


def test_significant_digits_keep_whole_numbers_and_gaps() -> None:
    values = [123456.7, -0.000123456, 0.0, np.nan, np.inf, 7.34375]
    table = significant(pd.DataFrame({"real": values, "whole": [123456] * 6, "text": ["a"] * 6}))
    np.testing.assert_array_equal(table["real"], [123500.0, -0.0001235, 0.0, np.nan, np.inf, 7.344])
    assert table["whole"].tolist() == [123456] * 6
