import numpy as np
import pandas as pd
import pytest

from nanolab.core.checks import InputError
from nanolab.figures.movies import plot_sizes_over_time


def movie(name: str, count: int, **more: object) -> pd.DataFrame:
    frame = np.arange(count)
    images = [f"{name}_f{number:04d}" for number in frame]
    sizes = {"d50": 8.0 + frame, "d50_low": 7.0 + frame, "d50_high": 9.0 + frame}
    return pd.DataFrame({"image": images, "frame": frame, "particles": 40, "unit": "nm", **sizes, **more})


def test_a_line_per_file_over_its_images() -> None:
    alone = pd.DataFrame({"image": ["single"], "particles": 3, "unit": "px", "d50": 3.0})
    figure = plot_sizes_over_time(pd.concat([movie("a", 3), movie("b", 5)[::-1], alone]))
    sizes, counts = figure.axes
    assert [line.get_label() for line in sizes.lines] == ["a", "b"]
    np.testing.assert_array_equal(sizes.lines[1].get_ydata(), [8, 9, 10, 11, 12])
    assert (sizes.get_ylabel(), counts.get_xlabel()) == ("D50 / nm", "image of the file")


def test_times_are_shown_where_they_are_known_and_gaps_stay() -> None:
    table = movie("a", 3, time_s=[0.0, 0.5, 1.0])
    table.loc[1, ["d50", "d50_low", "d50_high"]] = None
    sizes, counts = plot_sizes_over_time(table).axes
    assert counts.get_xlabel() == "time / s"
    np.testing.assert_array_equal(sizes.lines[0].get_ydata(), [8, np.nan, 10])


def test_what_cannot_be_drawn_is_refused() -> None:
    mixed = pd.concat([movie("a", 2), movie("b", 2, unit="px")])
    for table in (movie("a", 1), movie("a", 2).drop(columns="frame"), mixed):
        with pytest.raises(InputError, match="two or more images of a file, all in nm or all in px"):
            plot_sizes_over_time(table)
