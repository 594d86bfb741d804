from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.discs import THRESHOLD, TINY, Threshold, disc_labels, disc_sample, valleys
from PIL import Image
from skimage.segmentation import find_boundaries

from nanolab.core.checks import InputError
from nanolab.images.labels import read_label_file, read_labels
from nanolab.images.micrograph import read
from nanolab.images.pixel_size import pixel_size_from_metadata
from nanolab.images.tiff import write_tiff
from nanolab.metrics.instance import match
from nanolab.models.checkpoint import save_checkpoint
from nanolab.models.registry import NETWORKS
from nanolab.segmentation import blocks as parts
from nanolab.segmentation import files
from nanolab.segmentation import segmenter as segment
from nanolab.segmentation.files import segment_files
from nanolab.segmentation.segmenter import Segmenter
from nanolab.training.loop import train
from nanolab.training.run import TrainingRun
from nanolab.training.settings import TrainingSettings


@pytest.fixture(autouse=True)
def _networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NETWORKS, "threshold", THRESHOLD["threshold"])
    monkeypatch.setitem(NETWORKS, "tiny", TINY["tiny"])
    monkeypatch.setitem(__import__("sys").modules, "test_segment_networks", __import__("sys").modules[__name__])


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return the checkpoint of a network that knows."""
    path = tmp_path / "model.safetensors"
    record = {"settings": {"network": "threshold", "readout": "foreground"}}
    save_checkpoint(path, Threshold(1).state_dict(), record)
    return path


@pytest.fixture
def discs(rng: np.random.Generator) -> np.ndarray:
    """Return the labels of discs that stay apart, so that the foreground alone tells them."""
    labels = disc_labels(rng, (150, 190), 60)
    labels[(labels != np.roll(labels, 1, 0)) | (labels != np.roll(labels, 1, 1))] = 0
    return labels


def picture(labels: np.ndarray) -> np.ndarray:
    """Return an image that shows the labels: 0.8 on 0.2."""
    return np.where(labels > 0, 0.8, 0.2).astype(np.float32)


def write_image(path: Path, image: np.ndarray, pixel_size_nm: float | None = 2.5) -> Path:
    write_tiff(path, np.rint(image * 255).astype(np.uint8), pixel_size_nm=pixel_size_nm)
    return path


def test_every_particle_is_found_whole(model: Path, discs: np.ndarray) -> None:
    found = Segmenter(model, min_area_px=0).segment(picture(discs))
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found > 0, discs > 0)
    scores = match(discs, found, 0.99)
    assert scores.f1 > 0.9  # a few discs were cut in pieces when they were separated


def test_brightness_range_and_type_of_the_image_do_not_matter(model: Path, discs: np.ndarray) -> None:
    segmenter = Segmenter(model)
    expected = segmenter.segment(picture(discs))
    for image in (picture(discs) * 0.1 + 0.5, (picture(discs) * 60_000).astype(np.uint16), picture(discs) - 7):
        np.testing.assert_array_equal(segmenter.segment(image), expected)


@pytest.mark.parametrize("shape", [(2, 2), (3, 200), (31, 33), (177, 64)])
def test_any_size_is_segmented(model: Path, shape: tuple[int, int]) -> None:
    image = np.full(shape, 0.2, dtype=np.float32)
    image[: shape[0] // 2] = 0.8
    segmenter = Segmenter(model, min_area_px=0, tile_px=160)
    np.testing.assert_array_equal(segmenter.segment(image) > 0, image > 0.5)
    assert segmenter.probabilities(image).shape == (1, *shape)


def test_tiles_and_the_whole_image_give_the_same_particles(tmp_path: Path) -> None:
    settings = TrainingSettings(network="tiny", epochs=1, steps_per_epoch=60, patch_px=64, threads=1, device="cpu")
    run = train([[disc_sample(seed) for seed in range(4)]], tmp_path, settings, progress=False)
    image = disc_sample(9, shape=(300, 410), count=150).image
    whole, tiled = Segmenter(run), Segmenter(run, tile_px=256)
    # The network sees 7 px around each, so a tile errs only in its outermost 7 px. In an overlap of 128 px its weight
    # there is below (7 / 128)**2 / (1 - 7 / 128)**2, that is 0.004, and probabilities differ by at most 1.
    np.testing.assert_allclose(tiled.probabilities(image), whole.probabilities(image), atol=0.004)
    scores = match(whole.segment(image), tiled.segment(image), 0.9)
    assert scores.tp > 50
    assert scores.f1 > 0.99


def test_blocks_and_the_whole_image_give_the_same_particles(
    model: Path, discs: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    segmenter = Segmenter(model)
    whole = segmenter.segment(picture(discs))
    monkeypatch.setattr(segment, "BLOCK_PX", 64)
    monkeypatch.setattr(parts, "_MARGIN_PX", 24)  # the discs are up to 18 px across
    blocks = segmenter.segment(picture(discs))
    scores = match(whole, blocks, 1)
    assert scores.tp == whole.max() == blocks.max()
    np.testing.assert_array_equal(np.unique(blocks), np.arange(whole.max() + 1))


def test_a_block_without_particles_is_no_failure(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.full((150, 190), 0.2, dtype=np.float32)
    image[100:110, 150:160] = 0.8
    monkeypatch.setattr(segment, "BLOCK_PX", 64)
    monkeypatch.setattr(parts, "_MARGIN_PX", 24)
    np.testing.assert_array_equal(Segmenter(model).segment(image), image > 0.5)


@pytest.mark.parametrize("block_px", [4096, 64])
def test_scores_are_the_mean_probability_in_each_particle(
    model: Path, discs: np.ndarray, block_px: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segment, "BLOCK_PX", block_px)
    monkeypatch.setattr(parts, "_MARGIN_PX", 24)
    image = picture(discs) - np.where(discs % 2, 0.25, 0).astype(np.float32)
    segmenter = Segmenter(model)
    found = segmenter.find(image)
    probability = segmenter.probabilities(image)[0]
    expected = [probability[found.labels == label].mean() for label in range(1, found.labels.max() + 1)]
    assert len(found.scores) == found.labels.max() > 20
    assert len(set(found.scores.round(2))) > 1
    np.testing.assert_allclose(found.scores, expected, atol=1e-5)


def test_small_particles_are_dropped(model: Path) -> None:
    image = np.full((60, 60), 0.2, dtype=np.float32)
    image[5:10, 5:10] = 0.8  # 25 px, ECD 5.6 px
    image[30:40, 30:40] = 0.8  # 100 px, ECD 11.3 px
    assert Segmenter(model).segment(image).max() == 1
    assert Segmenter(model, min_area_px=25).segment(image).max() == 2
    assert [Segmenter(model, min_area_px=area).find(image).dropped for area in (1, 30, 200)] == [0, 1, 2]
    nm = Segmenter(model, min_area_px=0, min_diameter_nm=20)
    assert nm.segment(image).max() == 2  # the pixel size is not known
    assert nm.segment(image, pixel_size_nm=2.0).max() == 1  # 11.3 and 22.6 nm
    assert nm.segment(image, pixel_size_nm=1.0).max() == 0
    assert nm.segment(image, pixel_size_nm=5.0).max() == 2
    either = Segmenter(model, min_area_px=0, min_diameter_nm=30, min_diameter_px=8)
    assert either.segment(image).max() == 1
    assert either.segment(image, pixel_size_nm=6.0).max() == 2  # 34 and 68 nm


def test_a_segmenter_takes_a_run_its_folder_and_an_epoch(tmp_path: Path) -> None:
    settings = TrainingSettings(network="tiny", epochs=2, steps_per_epoch=2, patch_px=32, threads=1, device="cpu")
    run = train([[disc_sample(0)]], tmp_path / "run", settings, progress=False)
    assert Segmenter(run).record["epoch"] == 2
    (run.folder / "selection.json").write_text('{"epochs": [1]}', encoding="utf-8")
    assert Segmenter(str(run.folder)).record["epoch"] == 1
    assert Segmenter(TrainingRun(run.folder), 2).record["epoch"] == 2
    assert Segmenter(run.checkpoint(1)).record["epoch"] == 1
    with pytest.raises(InputError, match="checkpoint not found"):
        Segmenter(run, 3)
    with pytest.raises(InputError, match="holds no training"):
        Segmenter(tmp_path)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((50, 50)), "nearly all pixels have the value 0"),
        (np.full((50, 50), np.nan), "NaN"),
        (np.zeros((50, 50, 3)), "must have shape"),
        (np.zeros((1, 50)), "at least 2x2"),
    ],
)
def test_what_is_no_picture_is_refused(model: Path, image: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Segmenter(model).segment(image)


def test_options_out_of_range_are_refused(model: Path) -> None:
    with pytest.raises(InputError, match="min_diameter_nm must be a number of nm above 0, got -1"):
        Segmenter(model, min_diameter_nm=-1)
    for magnification in (0.0, 1e300, float("nan"), "x"):
        with pytest.raises(InputError, match=r"magnification must be a number from 0\.02 to 16"):
            Segmenter(model, magnification=magnification)  # type: ignore[arg-type]
    for tile_px in (128, 200):
        with pytest.raises(InputError, match=f"tile_px must be a multiple of 32 above 128, got {tile_px}"):
            Segmenter(model, tile_px=tile_px)


def test_what_is_done_of_an_image_is_told_by_tile(model: Path, discs: np.ndarray) -> None:
    for flips in (False, True):
        told: list[float] = []
        segmenter = Segmenter(model, flips=flips)
        with segmenter.on_tile(discs.shape, told.append):
            segmenter.segment(discs)
        assert told == sorted(told)
        assert 0 < told[0] <= told[-1] < 1  # what follows the network takes time as well


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_files_become_label_maps_and_a_table(model: Path, discs: np.ndarray, tmp_path: Path) -> None:
    image = write_image(tmp_path / "a.tif", picture(discs))
    assert segment_files([image], model, tmp_path / "out", progress=False).failures == {}
    assert names_in(tmp_path / "out") == [
        "a.labels.tif",
        "a.overlay.png",
        "images.csv",
        "particles.csv",
    ]
    labels = read_labels(tmp_path / "out" / "a.labels.tif")
    np.testing.assert_array_equal(labels, Segmenter(model).segment(picture(discs)))
    assert pixel_size_from_metadata(tmp_path / "out" / "a.labels.tif").nm == pytest.approx(2.5)
    particles = pd.read_csv(tmp_path / "out" / "particles.csv")
    assert particles["label"].tolist() == list(range(1, labels.max() + 1))
    assert set(particles["image"]) == {"a"}
    areas_px = np.bincount(labels.ravel())[1:]
    # four digits are right to half a unit of the last one
    np.testing.assert_allclose(particles["area_nm2"], areas_px * 2.5**2, rtol=5e-4)
    np.testing.assert_allclose(particles["ecd_nm"], 2.5 * np.sqrt(4 * areas_px / np.pi), rtol=5e-4)


def test_a_name_that_is_too_long_with_its_ending_costs_no_other_image(
    model: Path, discs: np.ndarray, tmp_path: Path
) -> None:
    long = write_image(tmp_path / ("n" * 250 + ".tif"), picture(discs))
    good = write_image(tmp_path / "good.tif", picture(discs))
    failures = segment_files([long, good], model, tmp_path / "out", progress=False).failures
    assert "longer than 255 bytes" in failures[str(long)]
    assert (tmp_path / "out/good.labels.tif").exists()


def test_a_bad_file_does_not_stop_the_others(model: Path, discs: np.ndarray, tmp_path: Path) -> None:
    good = write_image(tmp_path / "good.tif", picture(discs))
    black = write_image(tmp_path / "black.tif", np.zeros((50, 50)))
    truncated = tmp_path / "truncated.tif"
    truncated.write_bytes(good.read_bytes()[:300])
    missing = tmp_path / "missing.tif"
    failures = segment_files([black, missing, good, truncated], model, tmp_path / "out", progress=False).failures
    assert list(failures) == [str(black), str(missing), str(truncated)]
    assert all(path in message for path, message in failures.items())
    assert names_in(tmp_path / "out") == [
        "good.labels.tif",
        "good.overlay.png",
        "images.csv",
        "particles.csv",
    ]


def test_if_no_file_is_any_good_there_is_no_folder(model: Path, tmp_path: Path) -> None:
    failures = segment_files([tmp_path / "gone.tif"], model, tmp_path / "out", progress=False).failures
    assert len(failures) == 1
    assert not (tmp_path / "out").exists()
    (tmp_path / "mine").mkdir()
    segment_files([tmp_path / "gone.tif"], model, tmp_path / "mine", progress=False)
    assert (tmp_path / "mine").is_dir()


def test_images_of_one_stem_do_not_overwrite_each_other(model: Path, discs: np.ndarray, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("x/s/one.tif", "y/s/one.tif", "y/two.tif", "y/TWO.png", "z/three.tif")]
    for number, path in enumerate(paths):
        shown = np.where(np.isin(discs, range(1, 5 + number)), discs, 0)
        write_image(path.with_suffix(".tif"), picture(shown))
        if path.suffix == ".png":
            from skimage.io import imsave

            imsave(path, np.rint(picture(shown) * 255).astype(np.uint8))
    segment_files([*paths, paths[0]], model, tmp_path / "out", progress=False)
    found = {path.name.removesuffix(".labels.tif") for path in (tmp_path / "out").glob("*.labels.tif")}
    assert found == {"x__s__one", "y__s__one", "two_tif", "TWO_png", "three"}
    counted = pd.read_csv(tmp_path / "out" / "particles.csv").groupby("image").size()
    for name in found:
        assert counted[name] == read_labels(tmp_path / "out" / f"{name}.labels.tif").max()


def test_even_case_alone_keeps_names_apart(tmp_path: Path) -> None:
    names = files._names([tmp_path / "a.tif", tmp_path / "A.tif", tmp_path / "b" / "a.tif", tmp_path / "c.tif"])
    assert len(set(names.values())) == 4
    assert names[tmp_path / "c.tif"] == "c"
    assert names[tmp_path / "b" / "a.tif"] == "b__a"


def test_a_folder_is_segmented_and_told_image_by_image(model: Path, discs: np.ndarray, tmp_path: Path) -> None:
    for name, most in (("a", discs.max()), ("sub/b", 5)):
        shown = picture(np.where(discs <= most, discs, 0))
        shown[0, 0] = 0.3  # a third grey value; with two it would pass for a mask
        write_image(tmp_path / f"in/{name}.tif", shown, None)
    options = {"progress": False, "overlays": False, "pixel_size_nm": {"a.tif": 2.0}}
    done = segment_files([tmp_path / "in/a.tif", tmp_path / "in/sub"], model, tmp_path / "out", **options)
    table = done.table.set_index("image")
    counted = pd.read_csv(tmp_path / "out/particles.csv").groupby("image")
    assert table["particles"].to_dict() == counted.size().to_dict()
    assert table["scale"]["a"] == "2 nm (typed)"
    assert table["unit"].tolist() == ["nm", "px"]
    assert table["notes"].str.startswith("no scale, few particles (below 30), ").to_dict() == {"a": False, "b": True}
    assert table["notes"].str.endswith("trust is not calibrated for this network and these options").all()
    file = read_label_file(tmp_path / "out/b.labels.tif")
    assert (file.image, file.image_rows) == ("../in/sub/b.tif", len(discs))
    assert file.made_by.endswith(".safetensors")
    assert names_in(tmp_path / "out") == ["a.labels.tif", "b.labels.tif", "images.csv", "particles.csv"]


def test_an_overlay_is_the_image_with_outlines(model: Path, discs: np.ndarray, tmp_path: Path) -> None:
    image = write_image(tmp_path / "a.tif", picture(discs))
    segment_files([image], model, tmp_path / "out", progress=False)
    shown = np.asarray(Image.open(tmp_path / "out/a.overlay.png"))
    labels = read_labels(tmp_path / "out/a.labels.tif")
    coloured = (shown != shown[..., :1]).any(axis=2)
    np.testing.assert_array_equal(coloured, find_boundaries(labels, mode="inner"))
    np.testing.assert_array_equal(shown[~coloured][:, 0], np.rint(255 * read(image).pixels)[~coloured])


def test_an_image_without_particles_is_no_failure(model: Path, discs: np.ndarray, tmp_path: Path) -> None:
    some = write_image(tmp_path / "some.tif", picture(discs))
    speck = np.full((50, 50), 0.2)
    speck[20:22, 20:22] = 0.8
    none = write_image(tmp_path / "none.tif", speck)
    assert segment_files([none, some], model, tmp_path / "both", progress=False).failures == {}
    assert set(pd.read_csv(tmp_path / "both" / "particles.csv")["image"]) == {"some"}
    assert segment_files([none], model, tmp_path / "one", progress=False).failures == {}
    assert not read_labels(tmp_path / "one" / "none.labels.tif").any()
    alone = pd.read_csv(tmp_path / "one" / "particles.csv")
    assert len(alone) == 0
    assert "ecd_nm" in alone.columns


def test_a_typed_pixel_size_overrides_that_of_the_file(model: Path, discs: np.ndarray, tmp_path: Path) -> None:
    image = write_image(tmp_path / "a.tif", picture(discs))
    segment_files([image], Segmenter(model), tmp_path / "out", pixel_size_nm=10.0, progress=False)
    particles = pd.read_csv(tmp_path / "out" / "particles.csv")
    np.testing.assert_allclose(particles["area_nm2"], particles["area_px"] * 100, rtol=5e-4)
    assert set(particles["scale_source"]) == {"typed"}


def test_an_unknown_pixel_size_leaves_nm_out(model: Path, discs: np.ndarray, tmp_path: Path) -> None:
    image = write_image(tmp_path / "a.tif", picture(discs), None)
    segment_files([image], model, tmp_path / "out", progress=False)
    particles = pd.read_csv(tmp_path / "out" / "particles.csv")
    assert not [column for column in particles if column.endswith(("_nm", "_nm2"))]
    assert set(particles["scale_source"]) == {"unknown"}


def test_flips_and_the_postprocessing_of_a_paper_can_be_asked_for(model: Path, tmp_path: Path) -> None:
    rows, cols = np.ogrid[:80, :120]
    first = (rows - 40) ** 2 + (cols - 40) ** 2 < 20**2
    image = picture(first | ((rows - 40) ** 2 + (cols - 74) ** 2 < 20**2))
    assert Segmenter(model).segment(image).max() == 1
    assert Segmenter(model, postprocessing="mill2021_sio2_px").segment(image).max() == 2
    scaled = Segmenter(model, postprocessing="mill2021_sio2")
    assert scaled.segment(image, pixel_size_nm=0.976).max() == 2
    assert scaled.segment(image, pixel_size_nm=0.1).max() == 0  # 8 nm across, less than the 20 nm of its area opening
    with pytest.raises(InputError, match="follow the pixel size, which is unknown here"):
        scaled.segment(image)
    np.testing.assert_array_equal(Segmenter(model, flips=True).segment(image), Segmenter(model).segment(image))
    with pytest.raises(InputError, match="postprocessing must be one of"):
        Segmenter(model, postprocessing="mill")


def test_how_readily_particles_are_cut_apart_can_be_chosen(tmp_path: Path, model: Path) -> None:
    path = tmp_path / "interior.safetensors"
    record = {"settings": {"network": "threshold", "readout": "interior+border"}}
    save_checkpoint(path, Threshold(2).state_dict(), record)
    shallow = Segmenter(path, dynamic=0.2).segment(valleys())
    deep = Segmenter(path, dynamic=0.35).segment(valleys())
    assert (shallow.max(), deep.max()) == (3, 1)
    assert ((shallow > 0) == (deep > 0)).all()
    with pytest.raises(InputError, match=r"dynamic must be a number from 0 to 1, got 1\.5"):
        Segmenter(path, dynamic=1.5)
    with pytest.raises(InputError, match="dynamic: this network's read-out has none"):
        Segmenter(model, dynamic=0.2)
    with pytest.raises(InputError, match="leave one of the two out"):
        Segmenter(path, dynamic=0.2, postprocessing="mill2021_sio2")


def test_outlines_of_a_network_without_are_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="outlines: this network has none"):
        Segmenter(model).find(np.eye(50), outlines=True)
    with pytest.raises(InputError, match="outlines: this network has none"):
        segment_files([tmp_path / "a.tif"], model, tmp_path / "out", outlines=True, progress=False)


def test_progress_is_shown(model: Path, discs: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    segment_files([write_image(tmp_path / "a.tif", picture(discs))], model, tmp_path / "out")
    shown = capsys.readouterr().err
    assert "segment:   0 %" in shown
    assert "100 %" in shown


def test_nothing_is_found_in_a_data_bar(model: Path, bam_folder: Path, tmp_path: Path) -> None:
    image = next(bam_folder.rglob("1908248.tif"))
    assert segment_files([image], model, tmp_path, progress=False).failures == {}
    labels = read_labels(tmp_path / "1908248.labels.tif")
    top = len(read(image).crop_data_bar().pixels)
    assert labels.shape == (768, 1024)  # the size of the image, though its data bar was cut off
    assert 700 < top < 720
    assert labels[:top].any()
    assert not labels[top:].any()


def test_an_unwritable_folder_is_refused(model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="there is a file where a folder is needed"):
        segment_files([tmp_path / "a.tif"], model, tmp_path / "file" / "out", progress=False)


def test_a_mask_taken_for_a_micrograph_is_doubtful(model: Path, tmp_path: Path) -> None:
    mask = np.kron(np.eye(4, dtype=np.uint8), np.full((16, 16), 255, np.uint8))
    write_tiff(tmp_path / "mask.tif", mask, pixel_size_nm=2.5)
    table = segment_files([tmp_path / "mask.tif"], model, tmp_path / "out", progress=False).table
    assert table["notes"][0].startswith("a mask, not a micrograph")


@pytest.mark.parametrize("magnification", [0.5, 1.4, "auto"])
def test_a_magnified_image_has_its_particles_in_place(model: Path, magnification: float) -> None:
    y, x = np.mgrid[:300, :400]
    labels = (np.hypot(y - 140, x - 180) < 60).astype(np.int32)
    segmenter = Segmenter(model, magnification=magnification)
    found = segmenter.segment(picture(labels))
    # the outline of a disc of radius 60, drawn to a pixel of the image seen: within 2 px of the image
    assert match(labels, found, 0.93).tp == found.max() == 1
    assert segmenter.probabilities(picture(labels)).shape == (1, 300, 400)
    assert magnification in (segmenter.magnification(picture(labels)), "auto")


@pytest.mark.parametrize("magnification", [0, -1, float("nan")])
def test_magnification_must_be_above_0(model: Path, magnification: float) -> None:
    with pytest.raises(InputError, match="magnification must be a number"):
        Segmenter(model, magnification=magnification)


def test_files_tell_how_many_particles_were_too_small(model: Path, tmp_path: Path) -> None:
    image = np.full((60, 60), 0.2, dtype=np.float32)
    image[5:10, 5:10] = image[30:40, 30:40] = 0.8
    path = write_image(tmp_path / "a.tif", image)
    assert segment_files([path], model, tmp_path / "out", progress=False).table["too_small"].tolist() == [1]
    assert pd.read_csv(tmp_path / "out/images.csv")["too_small"].tolist() == [1]
