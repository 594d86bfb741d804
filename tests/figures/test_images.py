"""Figures: what is drawn has the lengths, counts and words it must have."""

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle, StepPatch
from matplotlib.text import Text
from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar
from PIL import Image

from nanolab import figures
from nanolab.core.checks import InputError
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.figures.panels import STAND_IN
from nanolab.images.micrograph import Micrograph
from nanolab.images.pixel_size import PixelSize
from nanolab.measurement.fits import fit
from nanolab.measurement.size_sample import size_sample

Array = npt.NDArray[np.float32]


@pytest.fixture
def image() -> Array:
    return np.linspace(0, 1, 60 * 100, dtype=np.float32).reshape(60, 100)


@pytest.fixture
def labels() -> npt.NDArray[np.int32]:
    labels = np.zeros((60, 100), dtype=np.int32)
    labels[10:20, 10:30] = 1
    labels[20:40, 10:30] = 2  # touches particle 1
    return labels


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def drawn(figure: Figure) -> npt.NDArray[np.uint8]:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=60)
    return np.asarray(Image.open(buffer).convert("RGB"))


def scale_bars(figure: Figure) -> list[AnchoredSizeBar]:
    return [artist for axes in figure.axes for artist in axes.artists if isinstance(artist, AnchoredSizeBar)]


def bar_length_px(bar: AnchoredSizeBar) -> float:
    (rectangle,) = bar.size_bar.findobj(Rectangle)
    return float(rectangle.get_width())


@pytest.mark.parametrize(
    ("pixel_size_nm", "text", "length_px"),
    [(2.0, "50 nm", 25), (7.34375, "100 nm", 100 / 7.34375), (100.0, "2 µm", 20), (0.01, "0.2 nm", 20)],
)
def test_the_scale_bar_is_as_long_as_it_says(image: Array, pixel_size_nm: float, text: str, length_px: float) -> None:
    figure = figures.plot_images([image], pixel_size_nm=pixel_size_nm)
    (bar,) = scale_bars(figure)
    assert bar_length_px(bar) == pytest.approx(length_px)
    assert text in words(figure)


@given(st.floats(1e-3, 1e5), st.integers(2, 10_000))
def test_the_scale_bar_takes_a_tenth_to_a_quarter_of_the_width(pixel_size_nm: float, width_px: int) -> None:
    figure = figures.plot_images([np.zeros((2, width_px), dtype=np.float32)], pixel_size_nm=pixel_size_nm)
    share = bar_length_px(scale_bars(figure)[0]) / width_px
    assert 0.1 * (1 - 1e-9) <= share <= 0.25 * (1 + 1e-9)  # steps of at most 2.5; rounding of a float division


def test_an_image_of_unknown_pixel_size_gets_no_scale_bar(image: Array) -> None:
    figure = figures.plot_images([image, image], pixel_size_nm=[None, 2.0])
    assert [len(axes.artists) for axes in figure.axes] == [0, 1]


def test_a_micrograph_brings_its_scale(image: Array, labels: npt.NDArray[np.int32]) -> None:
    micrograph = Micrograph(image, PixelSize.typed(2.0), Path("a.tif"))
    for figure in (figures.plot_images([micrograph]), figures.plot_particles(micrograph, labels)):
        assert len(figure.axes[0].artists) == 1


def test_a_gallery_has_a_panel_an_image_and_its_title(image: Array) -> None:
    figure = figures.plot_images([image] * 5, titles=list("abcde"), columns=2)
    assert [axes.get_title() for axes in figure.axes] == list("abcde")


def test_grey_values_are_shown_alike_in_all_panels(image: Array) -> None:
    figure = figures.plot_images([image, image / 2])
    assert [axes.images[0].get_clim() for axes in figure.axes] == [(0, 1), (0, 1)]


def test_particles_are_tinted_and_outlined_and_the_rest_is_clear(image: Array, labels: npt.NDArray[np.int32]) -> None:
    figure = figures.plot_particles(image, labels, pixel_size_nm=2.0)
    colours = figure.axes[0].images[1].get_array()
    assert colours is not None
    assert (colours[..., 3] == 0).sum() == (labels == 0).sum()
    # the outline of a 10x20 and of a 20x20 particle, one pixel wide and inside it
    assert (colours[..., 3] == 1).sum() == (10 * 20 - 8 * 18) + (20 * 20 - 18 * 18)
    assert not np.array_equal(colours[15, 15, :3], colours[30, 15, :3])


def test_labels_of_another_size_are_refused(image: Array, labels: npt.NDArray[np.int32]) -> None:
    with pytest.raises(InputError, match="both must have one size"):
        figures.plot_particles(image, labels[:-1])


def test_nothing_to_show_is_refused() -> None:
    with pytest.raises(InputError, match="at least one image"):
        figures.plot_images([])
    with pytest.raises(InputError, match="at least one particle"):
        figures.plot_sizes({"found": []}, "nm")
    with pytest.raises(InputError, match="at least one"):
        figures.plot_results({})


def test_the_chosen_epoch_is_framed(image: Array, labels: npt.NDArray[np.int32]) -> None:
    figure = figures.plot_epochs(image, {1: labels, 4: labels}, truth=labels, scores={4: 0.912}, selected=4)
    assert [axes.get_title() for axes in figure.axes] == ["annotated", "epoch 1", "epoch 4: F1 0.912"]
    assert [axes.spines["left"].get_visible() for axes in figure.axes] == [False, False, True]


def test_the_loss_curve_shows_the_log() -> None:
    log = pd.DataFrame({"epoch": [1, 2, 3], "loss": [1.0, 0.5, 0.25], "dice": [0.2, 0.5, 0.75]})
    loss, scores = figures.plot_training(log, selected=2).axes
    assert np.array_equal(loss.lines[0].get_xydata(), [[1, 1], [2, 0.5], [3, 0.25]])
    assert np.array_equal(scores.lines[0].get_xydata(), [[1, 0.2], [2, 0.5], [3, 0.75]])
    assert list(scores.lines[-1].get_xdata()) == [2, 2]
    assert len(figures.plot_training(log[["epoch", "loss"]]).axes) == 1


def test_histograms_count_every_particle_up_to_the_end_of_the_axis(rng: np.random.Generator) -> None:
    sizes = {"found": rng.normal(100, 10, 400), "annotated": np.append(rng.normal(120, 10, 99), 5000)}
    figure = figures.plot_sizes(sizes, "nm")
    shares = [patch.get_data().values.sum() for patch in figure.findobj(StepPatch)]
    together = np.concatenate(list(sizes.values()))
    beyond = [(each > np.quantile(together, 0.995)).sum() for each in sizes.values()]
    expected = [1 - beyond[0] / 400, 1 - beyond[1] / 100]
    assert shares == pytest.approx(np.repeat(expected, 2))  # each is drawn as an area and as a line
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert legend[1].startswith(
        f"annotated: median {np.median(sizes['annotated']):.4g} nm of 100 sizes as given; {beyond[1]} larger than shown"
    )


def test_medians_are_marked() -> None:
    figure = figures.plot_sizes({"found": [1.0, 2.0, 9.0], "annotated": []}, "px")
    assert [list(line.get_xdata()) for line in figure.axes[0].lines] == [[2, 2], []]
    assert "annotated: no particles" in words(figure)


RESULTS = {"dice": 0.95432, "n_found": 12, "median_ecd_found_nm": None, "seconds": {"render": 1.0, "train": 2.5}}


def test_results_are_one_row_each() -> None:
    rows = [("dice", "0.9543"), ("n found", "12"), ("median ecd found nm", "unknown")]
    rows += [("seconds render", "1"), ("seconds train", "2.5")]
    assert [tuple(line.rsplit(maxsplit=1)) for line in figures.results_text(RESULTS).splitlines()] == rows
    (table,) = figures.plot_results(RESULTS).axes[0].tables
    cells = {place: cell.get_text().get_text() for place, cell in table.get_celld().items()}
    assert cells == {(row, column): rows[row][column] for row in range(5) for column in range(2)}


def test_printed_results_of_a_stand_in_say_so() -> None:
    with figures.mark_stand_in(True):
        lines = figures.results_text(RESULTS).splitlines()
    assert [lines[0], lines[-1]] == [STAND_IN] * 2


@pytest.mark.parametrize("stand_in", [True, False])
def test_every_figure_of_a_stand_in_says_so_and_no_other(
    image: Array, labels: npt.NDArray[np.int32], stand_in: bool
) -> None:
    log = pd.DataFrame({"epoch": [1, 2], "loss": [1.0, 0.5]})
    with figures.mark_stand_in(stand_in):
        made = [
            figures.plot_images([image]),
            figures.plot_particles(image, labels),
            figures.plot_epochs(image, {1: labels}),
            figures.plot_training(log),
            figures.plot_sizes({"found": [1.0, 2.0]}, "nm"),
            figures.plot_results(RESULTS),
        ]
    for figure in made:
        # the sign is a band of vermilion across the whole width: its colour at both ends of the top row
        top = drawn(figure)[1]
        assert (np.array_equal(top[1], [213, 94, 0]) and np.array_equal(top[-2], [213, 94, 0])) == stand_in
        assert (STAND_IN in words(figure)) == stand_in


@pytest.mark.parametrize("weighting", ["number", "volume"])
def test_the_curve_of_a_fit_is_as_high_as_the_bars(weighting: str, rng: np.random.Generator) -> None:
    """Two groups narrower than a bin: density times bin width went up to 122 % of the particles."""
    sizes = np.concatenate([rng.normal(20, 0.02, 60), rng.normal(60, 0.05, 60)])
    columns = {"ecd_px": sizes, "area_px": sizes**2, "image": "a", "touches_border": False}
    sample = size_sample(pd.DataFrame(columns), border="keep")
    axes = figures.plot_distribution(sample, fit(sample, "mixture"), weighting=weighting).axes[0]
    curve = max(
        (line for line in axes.lines if line.get_label().startswith("mixture")), key=lambda line: len(line.get_xdata())
    )
    heights = np.asarray(curve.get_ydata())
    bars = next(patch for patch in axes.patches if isinstance(patch, StepPatch)).get_data()[0]
    # a group may lie in two bins, where a bin around each size has all of it
    assert bars.max() - 1 <= heights.max() <= 100.001
    assert heights.max() == pytest.approx(50 if weighting == "number" else 100 * 60**3 / (60**3 + 20**3), rel=0.02)


def test_the_mark_holds_until_it_is_lifted_and_a_with_restores_what_was_before(image: Array) -> None:
    figures.mark_stand_in(True)  # as a cell of a notebook does, which keeps nothing of it
    with figures.mark_stand_in(False):
        assert STAND_IN not in words(figures.plot_images([image]))
    assert STAND_IN in words(figures.plot_images([image]))
    figures.mark_stand_in(False)
    assert STAND_IN not in words(figures.plot_images([image]))


def test_a_notebook_shows_a_figure_without_pyplot(image: Array) -> None:
    assert figures.plot_images([image])._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]


def test_components_have_a_column_for_each_image_with_their_number_and_the_root_of_their_area_in_nm(
    image: Array, labels: npt.NDArray[np.int32]
) -> None:
    known = AnnotatedImage("a", image, labels, PixelSize.typed(2.0), Path("a.tif"))
    unknown = AnnotatedImage("b", image, labels, PixelSize.unknown("nobody said"), Path("b.tif"))
    figure = figures.plot_components([known, known, unknown], [labels, np.zeros_like(labels), labels])
    assert len(figure.axes) == 4 * 3
    assert [axes.get_title() for axes in figure.axes[-3:]] == ["N = 2", "N = 0", "N = 2"]
    assert [axes.get_xlabel() for axes in figure.axes[-3:]] == [
        f"square root of the area / {unit}" for unit in ("nm", "nm", "px")
    ]
    for axes, scale in ((figure.axes[-3], 2), (figure.axes[-1], 1)):  # areas of 200 and 400 px
        (bars,) = axes.findobj(StepPatch)
        assert bars.get_data().values.sum() == 2
        assert bars.get_data().edges[[0, -1]] == pytest.approx([scale * 200**0.5, scale * 20], rel=0.05)
