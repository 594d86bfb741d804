"""What a measure_image sample becomes on disk, and `nanolab measure`."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.grid_discs import discs
from openpyxl import load_workbook
from typer.testing import CliRunner

from nanolab.cli import app
from nanolab.core.checks import InputError
from nanolab.core.files import read_json
from nanolab.core.tables import write_csv, write_excel
from nanolab.figures.sizes import plot_sizes
from nanolab.images.folders import label_files
from nanolab.images.labels import read_labels, write_labels
from nanolab.images.pixel_size import PixelSize
from nanolab.images.tiff import write_tiff
from nanolab.images.trust import Trust
from nanolab.measurement.label_files import measure_files
from nanolab.reports.sizes import compare_report, measure_image, size_report, summarise_sizes
from nanolab.segmentation.files import _row

KNOWN, UNKNOWN = PixelSize.typed(2.0), PixelSize.unknown("no pixel size in the file")


def test_a_report_holds_what_was_measured(tmp_path: Path) -> None:
    images = [measure_image(f"i{k}", discs(k), pixel_size=KNOWN, image=discs(k) / 32) for k in range(3)]
    report = size_report(images, tmp_path, title="discs", fit_name="log-normal", rois=True, label_maps=True)
    names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    each = {f"{kind}/i{k}.{suffix}" for kind, suffix in (("rois", "zip"), ("labels", "labels.tif")) for k in range(3)}
    assert names == {"particles.csv", "sizes.xlsx", "sizes.json", "report.pdf", "report.html", "report.png"} | each
    particles = pd.read_csv(tmp_path / "particles.csv")
    assert len(particles) == 48
    saved = read_json(tmp_path / "sizes.json")
    assert saved["statistics"]["number"]["mean"] == report.statistics["number"]["mean"]
    areas = np.concatenate([np.bincount(discs(k).ravel())[1:] for k in range(3)])
    # border weights differ by some per cent between these sizes
    assert saved["statistics"]["number"]["d50"] == pytest.approx(2 * np.sqrt(4 / np.pi * np.median(areas)), rel=0.1)
    assert saved["statistics"]["unit"] == "nm"
    assert saved["fit"]["name"] == "log-normal"
    assert saved["pixel_size"] == {f"i{k}": "2 nm (typed)" for k in range(3)}
    assert any("Pixel size: 2 nm (typed)" in note for note in saved["notes"])
    book = load_workbook(tmp_path / "sizes.xlsx")
    assert book.sheetnames == ["particles", "statistics", "fits", "about"]
    assert book["particles"].max_row == 49
    assert np.array_equal(read_labels(tmp_path / "labels/i1.labels.tif"), discs(1))


def test_without_a_pixel_size_everything_is_in_px(tmp_path: Path) -> None:
    report = size_report([measure_image("a", discs(0), pixel_size=UNKNOWN)], tmp_path, page=False)
    assert report.statistics["unit"] == "px"
    assert "All lengths are in pixels." in report.notes[0]
    assert not [name for name in pd.read_csv(tmp_path / "particles.csv") if name.endswith(("nm", "nm2"))]
    assert "nm" not in (tmp_path / "sizes.json").read_text(encoding="utf-8")
    assert any("One image" in note for note in report.notes)
    assert any(" particles of 1 image;" in note for note in report.notes)


def squares(sides: list[int]) -> np.ndarray:
    """Draw squares of these sides in px next to each other."""
    labels, left = np.zeros((max(sides) + 2, sum(sides) + 2 * len(sides) + 2), dtype=np.int32), 0
    for k, side in enumerate(sides):
        labels[1 : 1 + side, left + 1 : left + 1 + side] = k + 1
        left += side + 2
    return labels


@pytest.mark.parametrize(("step", "asks"), [(0, False), (1, True)])
def test_more_particles_are_asked_for_where_the_median_is_uncertain(tmp_path: Path, step: int, asks: bool) -> None:
    labels = squares([40 + 2 * step * (k - 18) for k in range(36)])  # squares of 40 px, or of 4 to 74
    report = size_report([measure_image("a", labels, pixel_size=KNOWN)], tmp_path, page=False)
    (note,) = [note for note in report.notes if note.startswith("D50 is known to")]
    assert ("5% needs about" in note) is asks


def test_few_particles_are_said_to_be_few(tmp_path: Path) -> None:
    report = size_report([measure_image("a", squares([9, 10]), pixel_size=KNOWN)], tmp_path)
    assert "2 particles are too few for intervals; measure at least 30." in report.notes
    assert not [note for note in report.notes if note.startswith("D50 is known to")]


@pytest.mark.parametrize(("specks", "said"), [(0, 0), (3, 0), (20, 1)])
def test_specks_that_decide_a_median_are_told(tmp_path: Path, specks: int, said: int) -> None:
    report = size_report([measure_image("a", squares([2] * specks + [30] * 40), pixel_size=KNOWN)], tmp_path)
    notes = [note for note in report.notes if "specks" in note]
    assert len(notes) == said
    assert all(note.startswith("20 of 60 particles are smaller than 12 px") for note in notes)


def test_images_of_different_samples_are_said_not_to_be_one(tmp_path: Path) -> None:
    images = [
        measure_image(name, squares([side + k % 3 for k in range(40)]), pixel_size=KNOWN)
        for name, side in (("fine", 5), ("coarse", 60))
    ]
    report = size_report(images, tmp_path, page=False)
    (note,) = [note for note in report.notes if note.startswith("These images do not look like one sample")]
    assert "report them apart" in note
    assert (report.needed["particles"], report.needed["iso_13322_1_mean"]) == (None, None)
    assert not [note for note in report.notes if "needs about" in note]


def test_a_fit_that_its_own_test_rejects_is_said_to_be_none(tmp_path: Path) -> None:
    report = size_report([measure_image("a", squares([6] * 20 + [30] * 19), pixel_size=KNOWN)], tmp_path, page=False)
    assert report.goodness is not None
    assert min(report.goodness.ks_p, report.goodness.ad_p) < 0.05
    assert any("the sample is not of this distribution, though it is the best by BIC" in note for note in report.notes)


def test_the_table_gives_the_numbers_of_the_report_again(tmp_path: Path) -> None:
    images = [measure_image(f"i{k}", discs(k), pixel_size=KNOWN) for k in range(3)]
    images.append(measure_image("cut", np.pad(squares([8, 9]), 0)[1:], pixel_size=PixelSize.typed(4.0)))
    report = size_report(images, tmp_path, min_area_px=9, page=False)
    table = pd.read_csv(tmp_path / "particles.csv")
    np.testing.assert_allclose(table["ecd_nm"], table["ecd_px"] * table["pixel_size_nm"], rtol=1e-3)
    assert table["weight"].isna().sum() == report.sample.cut + report.sample.small > 0
    counted = table.dropna(subset="weight").sort_values("ecd_nm")
    for weighting, column in (("number", "weight"), ("volume", "volume_weight")):
        assert counted[column].mean() == pytest.approx(1, rel=1e-3)
        mean = np.average(counted["ecd_nm"], weights=counted[column])
        assert mean == pytest.approx(report.statistics[weighting]["mean"], rel=1e-3)
        median = counted["ecd_nm"][counted[column].cumsum() >= 0.5 * counted[column].sum()].iloc[0]
        assert median == pytest.approx(report.statistics[weighting]["d50"], rel=1e-3)


def test_images_with_and_without_a_scale_are_not_mixed(tmp_path: Path) -> None:
    images = [measure_image("a", discs(0), pixel_size=KNOWN), measure_image("b", discs(1), pixel_size=UNKNOWN)]
    with pytest.raises(InputError, match="b: no pixel size, but others have one"):
        size_report(images, tmp_path)
    assert list(tmp_path.iterdir()) == []  # no half of a folder
    with pytest.raises(InputError, match="b: no pixel size, but others have one"):
        size_report(images, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    notes = size_report(images, tmp_path / "px", page=False, without_scale="px").notes
    assert "All in pixels as asked; the pixel size is known of 1 of 2 images." in notes
    with pytest.raises(InputError, match="at least one particle, got none"):
        size_report([measure_image("a", np.zeros((9, 9), int), pixel_size=KNOWN)], tmp_path)


def test_names_of_files_are_neither_formulas_nor_paths(tmp_path: Path) -> None:
    name = "=HYPERLINK(A1)"
    images = [measure_image(name, discs(0), pixel_size=KNOWN), measure_image("../../up", discs(1), pixel_size=KNOWN)]
    size_report(images, tmp_path / "out", page=False, rois=True, fit_name="normal")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    assert "\n'=HYPERLINK" in (tmp_path / "out/particles.csv").read_text(encoding="utf-8")
    cell = load_workbook(tmp_path / "out/sizes.xlsx")["particles"]["A2"]
    assert (cell.value, cell.data_type, cell.quotePrefix) == (name, "s", True)


def test_numbers_are_not_quoted(tmp_path: Path) -> None:
    table = pd.DataFrame({"text": ["-a", "+b", "@c", "=d", "e"], "number": [-1.5, 2, 3, 4, 5]})
    lines = write_csv(tmp_path / "a.csv", table).read_text(encoding="utf-8").split()
    assert lines == ["text,number", "'-a,-1.5", "'+b,2.0", "'@c,3.0", "'=d,4.0", "e,5.0"]
    sheet = load_workbook(write_excel(tmp_path / "a.xlsx", {"one": table}))["one"]
    assert [cell.data_type for cell in sheet["A"]] == ["s"] * 6
    assert [cell.value for cell in sheet["B"]][1:] == [-1.5, 2, 3, 4, 5]


def test_excel_gets_no_control_characters_and_no_more_rows_than_it_holds(tmp_path: Path) -> None:
    book = load_workbook(write_excel(tmp_path / "a.xlsx", {"one": pd.DataFrame({"name": ["a\x07b"]})}))
    assert book["one"]["A2"].value == "a\ufffdb"
    with pytest.raises(InputError, match="Excel holds 1048575 rows, the table one has 1048576"):
        write_excel(tmp_path / "b.xlsx", {"one": pd.DataFrame({"x": np.zeros(2**20)})})
    assert not (tmp_path / "b.xlsx").exists()


def test_two_samples_are_compared_on_disk(tmp_path: Path) -> None:
    first, second = (
        [measure_image(f"i{k}", discs(10 * n + k, scale=scale), pixel_size=KNOWN) for k in range(4)]
        for n, scale in ((0, 1.0), (1, 1.2))
    )
    found = compare_report(first, second, tmp_path, names=("small", "large"))
    assert found.d50_ratio == pytest.approx(1.2, abs=0.15)  # 64 particles each
    assert read_json(tmp_path / "comparison.json")["samples"] == ["small", "large"]
    assert (tmp_path / "comparison.png").stat().st_size > 10_000


BAR = PixelSize(2.5, "scale bar", "200 nm over 80 px", 0.9)


@pytest.fixture
def segmented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write label maps as `nanolab segment` does: the last 40 rows are a data bar, which the files carry."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "segmented"
    for k in range(2):
        labels = discs(k)
        labels[119][labels[119] == 0] = 99  # a particle cut by the data bar
        labels[120:] = 0
        path = folder / f"i{k}.labels.tif"
        write_labels(path, labels, pixel_size=BAR, image=f"../raw/i{k}.tif", image_rows=120, made_by="network")
    return folder


def test_what_segment_wrote_can_be_measured_at_once(segmented: Path) -> None:
    found, failures = measure_files([segmented])
    assert failures == {}
    assert [each.labels.shape for each in found] == [(120, 160)] * 2
    assert found[0].particles["touches_border"].tolist()[-1]
    assert (found[0].pixel_size, found[0].image, found[0].made_by) == (BAR, None, "network")
    result = CliRunner().invoke(app, ["measure", "segmented", "-o", "out", "--report", "--fit", "normal"])
    assert result.exit_code == 0, result.output
    assert "out: 26 particles of 2 label maps" in result.stdout
    assert {path.name for path in Path("out").iterdir()} == {
        "particles.csv",
        "sizes.xlsx",
        "sizes.json",
        "report.html",
        "report.pdf",
        "report.png",
    }
    assert read_json("out/sizes.json")["statistics"]["touching_border"] == 2


def test_label_maps_lead_to_their_images(segmented: Path) -> None:
    image = np.random.default_rng(0).integers(0, 255, (160, 160), dtype=np.uint8)
    write_tiff(Path("raw/i0.tif"), image, pixel_size_nm=3.0)
    write_tiff(Path("raw/i1.tif"), image[:50], pixel_size_nm=3.0)  # another one by now
    (first, second), _ = measure_files([segmented])
    np.testing.assert_allclose(first.image, image[:120] / 255)
    assert first.pixel_size == second.pixel_size == BAR
    assert second.image is None
    (first,), failures = measure_files([segmented], images="raw")
    assert (first.pixel_size, set(failures)) == (BAR, {str(segmented / "i1.labels.tif")})


def test_a_table_of_scales_goes_over_the_files(segmented: Path) -> None:
    Path("scales.csv").write_text("\ufeffimage;nm per px\ni0;4,5\ni1.tif;3\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["measure", "segmented", "-o", "out.csv", "--scales", "scales.csv"])
    assert result.exit_code == 0, result.output
    table = pd.read_csv("out.csv").groupby("image")[["pixel_size_nm", "scale_source"]].first()
    assert table.to_numpy().tolist() == [[4.5, "typed"], [3.0, "typed"]]


def test_names_in_a_table_of_scales_that_no_image_has_are_said(segmented: Path) -> None:
    Path("scales.csv").write_text("image,nm per px\ni0,4.5\ni0.tif,4\nil,3\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["measure", "segmented", "-o", "out.csv", "--scales", "scales.csv"])
    assert result.exit_code == 0, result.output
    assert "note: --scales names what is no image here: i0.tif, il" in result.stderr  # the first name counts


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,nm per px\ni0,0\n", "i0: nm per px must be a number of nm above 0, such as 2.5, got '0'"),
        ("image,nm per px\ni0,1e300\n", "i0: nm per px must be a number from 0.0001 to 1e"),
        ("image;nm per px\ni0;1,500\n", "i0: nm per px: 1,500 can be read in two ways"),
        ("image,nm per px\ni0,two\n", "i0: nm per px must be a number of nm above 0, such as 2.5, got 'two'"),
        ("image,nm_per_px\ni0,1\ni0,2\n", "must name each image once, got i0"),
        ("image,nm_per_px\n,2\n", "must name each image once, got a row without a name"),
        ("image,nm_per_px\ni0,\n", "i0: nm per px must be a number of nm above 0, such as 2.5, got ''"),
        ("image,nm_per_px\ni0\n", "i0: nm per px must be a number of nm above 0, such as 2.5, got ''"),
        ("image,nm_per_px\ni0,1,5\n", "has more values than columns; with decimal commas, put semicolons between"),
        ("image,size\ni0,1\n", "must have the columns image and nm per px, nm per px is missing"),
        ("", "scales.csv"),
    ],
)
def test_a_wrong_table_of_scales_is_refused(segmented: Path, text: str, message: str) -> None:
    Path("scales.csv").write_text(text, encoding="utf-8")
    result = CliRunner().invoke(app, ["measure", "segmented", "-o", "out", "--scales", "scales.csv"])
    assert result.exit_code == 2
    assert message in result.stderr
    assert not Path("out").exists()


@pytest.mark.parametrize(("how", "unit", "images"), [("leave out", "nm", ["i0"]), ("px", "px", ["i0", "i1"])])
def test_an_image_without_a_scale_does_not_spoil_the_report(
    segmented: Path, how: str, unit: str, images: list[str]
) -> None:
    write_labels(segmented / "i1.labels.tif", discs(1))
    refused = CliRunner().invoke(app, ["measure", "segmented", "-o", "out"])
    assert "i1: no pixel size, but others have one; give a table of scales (--scales)" in refused.stderr
    assert not Path("out").exists()
    result = CliRunner().invoke(app, ["measure", "segmented", "-o", "out", "--report", "--without-scale", how])
    assert result.exit_code == 0, result.output
    saved = read_json("out/sizes.json")
    assert (saved["statistics"]["unit"], sorted(saved["pixel_size"])) == (unit, images)
    assert any(("Left out" if how == "leave out" else "All in pixels as asked") in note for note in saved["notes"])
    assert [name for name in pd.read_csv("out/particles.csv") if name.endswith(("_nm", "_nm2"))] == [] or unit == "nm"


def test_pixels_of_different_size_are_never_pooled(tmp_path: Path) -> None:
    scales = {"a": PixelSize.typed(1.0), "b": PixelSize.typed(2.0), "c": UNKNOWN}
    images = [measure_image(name, discs(0), pixel_size=size) for name, size in scales.items()]
    with pytest.raises(InputError, match="pixels of different size cannot be pooled, got 1, 2 nm"):
        size_report(images, tmp_path, without_scale="px")
    with pytest.raises(InputError, match="area: no length of the particle table"):
        size_report(images[:2], tmp_path, quantity="area")
    with pytest.raises(InputError, match="without_scale must be one of refuse, leave out, px, got 'drop'"):
        size_report(images, tmp_path, without_scale="drop")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_measure_takes_grey_values_from_images(segmented: Path) -> None:
    image = np.random.default_rng(0).integers(46, 57, (160, 160), dtype=np.uint8)
    for k in range(2):
        write_tiff(Path(f"images/i{k}.tif"), image, pixel_size_nm=2.5)
    found, failures = measure_files([segmented / "i0.labels.tif"], images="images")
    assert failures == {}
    # the mean of 46 to 56 is 51; over a particle of 80 px it errs by 0.35
    assert found[0].particles["mean_intensity"].to_numpy() == pytest.approx(0.2, abs=4 * 0.35 / 255)
    (Path("images") / "i1.tif").unlink()
    result = CliRunner().invoke(app, ["measure", "segmented", "--images", "images", "-o", "out.csv"])
    assert result.exit_code == 2
    assert "images: must have one image named i1, got no image" in result.stderr
    assert set(pd.read_csv("out.csv")["image"]) == {"i0"}


def test_measure_compares_with_another_folder(segmented: Path) -> None:
    for k in range(4):
        write_labels(f"other/i{k}.tif", discs(20 + k, scale=1.2), pixel_size_nm=2.5)
    result = CliRunner().invoke(app, ["measure", "segmented", "-o", "out", "--fit", "normal", "--compare", "other"])
    assert result.exit_code == 0, result.output
    assert "other against segmented: D50 +" in result.stdout
    assert read_json("out/comparison.json")["unit"] == "nm"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["segmented", "-o", "a.csv", "--report"], "a.csv: must be a folder for --report"),
        (["segmented", "-o", "a.xlsx"], "a.xlsx: must be a folder or a CSV file"),
        (["segmented", "-o", "a", "--fit", "gamma"], "fit must be one of auto, kde"),
        (["segmented", "-o", "a", "--border", "cut"], "border must be one of correct, drop, keep, got 'cut'"),
        (["segmented", "-o", "a", "--quantity", "size"], "size: no length of the particle table"),
        (["segmented", "-o", "a", "--min-area-px", "9999"], "26 particles below the least area"),
        (["empty", "-o", "a"], "empty: must hold label maps"),
        (["segmented", "-o", "a", "--compare", "empty"], "empty: must hold label maps"),
    ],
)
def test_mistakes_are_named(segmented: Path, words: list[str], message: str) -> None:
    Path("empty").mkdir()
    result = CliRunner().invoke(app, ["measure", *words])
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not Path("a").exists()


def test_a_folder_gives_its_label_maps(segmented: Path) -> None:
    write_tiff(segmented / "image.tif", np.zeros((9, 9), np.uint8), pixel_size_nm=None)
    assert [path.name for path in label_files(segmented)] == ["i0.labels.tif", "i1.labels.tif"]


def test_one_image_given_twice_is_not_said_to_be_known_well() -> None:
    labels = np.zeros((300, 300), dtype=np.int32)
    for number, (row, col) in enumerate([(r, c) for r in range(8) for c in range(8)], start=1):
        labels[36 * row + 4 : 36 * row + 14 + number // 4, 36 * col + 4 : 36 * col + 14] = number
    twice = [measure_image(name, labels, pixel_size=PixelSize.unknown("none")) for name in ("a", "b")]
    notes = summarise_sizes(twice, repeats=99).notes
    assert "All images have the very same sizes: is one of them there twice?" in notes
    assert not any(note.startswith("D50 is known to") for note in notes)


def test_table_of_segment_figure_and_report_count_by_one_rule(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    labels = np.zeros((300, 300), dtype=np.int32)
    for number, (row, col) in enumerate(rng.uniform(0, 300, (60, 2)), start=1):  # many are cut, mostly large ones
        rows, cols = np.mgrid[:300, :300]
        labels[np.hypot(rows - row, cols - col) < rng.uniform(4, 22)] = number
    image = measure_image("a", labels, pixel_size=PixelSize.typed(2.0))
    d50 = summarise_sizes([image], repeats=0).statistics["number"]["d50"]
    row = _row(image, {}, [])
    assert row["d50"] == pytest.approx(d50, rel=5e-4)  # four digits
    (line,) = plot_sizes(image.particles).axes[0].lines
    assert line.get_xdata()[0] == d50
    (legend,) = plot_sizes(image.particles).axes[0].get_legend().get_texts()
    whole = int((~image.particles["touches_border"]).sum())
    assert legend.get_text().startswith(f"particles: D50 {d50:.4g} nm, {whole} particles, corrected for the border")
    # neither that of all particles nor that of the whole ones
    everything, kept = image.particles["ecd_nm"], image.particles.loc[~image.particles["touches_border"], "ecd_nm"]
    assert d50 not in (everything.median(), kept.median())
    assert "cut ones too" in plot_sizes(image.particles, border="keep").axes[0].get_legend().get_texts()[0].get_text()


def test_the_budget_of_d50_adds_the_pixel_size_to_the_scatter() -> None:
    images = [measure_image(f"i{k}", discs(k), pixel_size=KNOWN) for k in range(5)]
    usual, worse = (summarise_sizes(images, pixel_size_error=error) for error in (None, 0.1))
    low, high = usual.statistics["number"]["intervals"]["d50"]
    # the 97.5th percentile of a normal distribution is 1.96 SD
    # half a pixel at both ends, of which any part is as likely
    d50_px = usual.statistics["number"]["d50"] / 2.0
    expected = {"outline": 1 / np.sqrt(3) / d50_px}
    expected |= {"images": (high - low) / 2 / 1.96 / usual.statistics["number"]["d50"], "pixel size": 0.01}
    assert usual.budget == pytest.approx(expected, rel=1e-4)
    assert worse.budget == {**usual.budget, "pixel size": 0.1}
    assert any("pixel size 20.0%" in note for note in worse.notes)
    in_px = summarise_sizes([measure_image("a", discs(0, 6), pixel_size=UNKNOWN)], pixel_size_error=0.1)
    assert in_px.budget == {} or in_px.budget["pixel size"] == 0


def test_the_effect_of_the_rule_at_the_border_is_shown() -> None:
    report = summarise_sizes([measure_image(f"i{k}", discs(k), pixel_size=KNOWN) for k in range(3)])
    assert report.rules["keep"]["count"] == len(report.particles)
    assert report.rules["correct"] == {"count": len(report.sample), "d50": report.statistics["number"]["d50"]}
    assert any("D50 by the rule of what counts: correct" in note for note in report.notes)


def test_the_effect_of_counting_unobstructed_or_trusted_ones_alone_is_shown() -> None:
    labels = np.zeros((90, 90), dtype=np.int32)
    labels[5:15, 5:15], labels[5:15, 60:70] = 1, 2
    rows, cols = np.mgrid[:90, :90]
    labels[np.hypot(rows - 55, cols - 55) < 16] = 4
    labels[np.hypot(rows - 55, cols - 40) < 16] = 3  # over half of 4
    trust = Trust(image=0.9, particles=(0.9, 0.2, 0.9, 0.9))
    image = measure_image("a", labels, pixel_size=KNOWN, trust=trust)
    seen = image.particles["visible_fraction"] >= 0.95
    assert 2 <= seen.sum() < 4
    rules = summarise_sizes([image], where="area_px > 50").rules
    assert rules["unobstructed"]["count"] == seen.sum()
    assert rules["trusted"]["count"] == 3
    assert "trusted" not in summarise_sizes([measure_image("a", labels, pixel_size=KNOWN)]).rules


@pytest.mark.parametrize(("side", "least"), [(4, 0.25), (10, 0.1), (60, 0.017)])
def test_no_number_of_particles_makes_up_for_few_pixels(side: int, least: float) -> None:
    # a threshold that is off by half a pixel at either end changes a diameter by 1 px; k = 2 of that is 1.15 px
    labels = np.kron(np.arange(1, 401).reshape(20, 20), np.pad(np.ones((side, side), dtype=np.int32), 2))
    notes = summarise_sizes([measure_image("a", labels, pixel_size=KNOWN)], repeats=99).notes
    (note,) = [note for note in notes if note.startswith("D50 is known to")]
    assert float(note.split()[4].rstrip("%")) / 100 >= least
    assert ("magnify more" in note) is (side < 20)
