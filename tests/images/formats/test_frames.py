"""Files that hold several images: listed, chosen by number, name or range, and read one at a time."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from helpers.instrument_files import write_dm, write_emd, write_mrc

from nanolab.core.checks import InputError
from nanolab.images.folders import image_files
from nanolab.images.formats.frames import frame_lines, select_frames
from nanolab.images.formats.grey import to_grey
from nanolab.images.formats.image_file import list_frames
from nanolab.images.micrograph import read

STACK = np.random.default_rng(0).integers(0, 60_000, (5, 32, 48)).astype(np.uint16)


def imagej(path: Path) -> None:
    labels = [f"t{number}" for number in range(5)]
    about = {"axes": "TYX", "finterval": 0.5, "Labels": labels, "unit": "nm"}
    tifffile.imwrite(path, STACK, imagej=True, resolution=(0.4, 0.4), metadata=about)


def imagej_of_one_page(path: Path) -> None:
    """As ImageJ writes stacks above 4 GB: one directory, and the images behind one another."""
    text = "ImageJ=1.54f\nimages=5\nframes=5\nunit=nm\n"
    tifffile.imwrite(path, STACK[0], resolution=(0.4, 0.4), resolutionunit=1, description=text, metadata=None)
    with tifffile.TiffFile(path) as tif:
        end = tif.pages.first.dataoffsets[0] + tif.pages.first.databytecounts[0]
    assert path.stat().st_size == end
    path.write_bytes(path.read_bytes() + STACK[1:].tobytes())


def pages(path: Path) -> None:
    with tifffile.TiffWriter(path) as writer:
        for page in STACK:
            writer.write(page, compression="zlib", resolution=(4e6, 4e6), resolutionunit="CENTIMETER")
        writer.write(STACK[0, ::4, ::4])  # a thumbnail is none of the images


WRITERS: dict[str, Callable[[Path], None]] = {
    "imagej.tif": imagej,
    "one_page.tif": imagej_of_one_page,
    "pages.tif": pages,
    "volume.tif": lambda path: tifffile.imwrite(
        path, STACK, volumetric=True, resolution=(4e6, 4e6), resolutionunit="CENTIMETER"
    ),
    "a.mrc": lambda path: write_mrc(path, STACK, 2.5),
    "a.emd": lambda path: write_emd(path, STACK, 2.5),
    "a.dm4": lambda path: write_dm(path, STACK, 2.5, version=4, interval_s=0.5),
}


@pytest.mark.parametrize("name", WRITERS)
def test_each_image_of_a_stack_is_read_by_its_number(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    WRITERS[name](path)
    assert [frame.number for frame in list_frames(path)] == [0, 1, 2, 3, 4]
    for number in range(5):
        micrograph = read(path, frame=number)
        np.testing.assert_array_equal(micrograph.pixels, to_grey(STACK[number], "")[0])
        assert micrograph.pixel_size_nm == pytest.approx(2.5, rel=1e-6)  # single precision in the files
        assert micrograph.name == f"{path.stem}_f{number:04d}"
    np.testing.assert_array_equal(read(f"{path}[3]").pixels, read(path, frame=3).pixels)
    with pytest.raises(InputError, match=r"must hold one image, got 5 images: 0.*with --frames all"):
        read(path)
    with pytest.raises(InputError, match=r"frame must be the number, counted from 0, .* got 5; it holds 5 images"):
        read(path, frame=5)


def test_a_movie_knows_its_times_and_a_stack_its_labels(tmp_path: Path) -> None:
    imagej(tmp_path / "a.tif")
    frames = list_frames(tmp_path / "a.tif")
    assert [frame.time_s for frame in frames] == [0, 0.5, 1, 1.5, 2]
    assert read(tmp_path / "a.tif", frame="t3").metadata["frame"] == 3
    write_dm(tmp_path / "a.dm3", STACK, 1.0, interval_s=0.25)
    assert [frame.time_s for frame in list_frames(tmp_path / "a.dm3")] == [0, 0.25, 0.5, 0.75, 1]


def test_frames_are_chosen_by_number_name_and_range(tmp_path: Path) -> None:
    imagej(tmp_path / "a.tif")
    frames = list_frames(tmp_path / "a.tif")

    def chosen(which: int | str) -> list[int]:
        return [frame.number for frame in select_frames(frames, which, "a.tif")]

    asked = {"all": [0, 1, 2, 3, 4], 2: [2], "2": [2], "t4": [4], "1:4": [1, 2, 3], "::2": [0, 2, 4], "3:": [3, 4]}
    assert {which: chosen(which) for which in asked} == asked
    for nothing in ("t9", "-1", "7:9", "1:2:0", ""):
        with pytest.raises(InputError, match=r"a\.tif: frame must be the number"):
            chosen(nothing)
    assert frame_lines(frames)[:2] == ["0 ('t0', 48 x 32 px)", "1 ('t1', 48 x 32 px)"]


def test_a_name_that_several_images_share_is_none(tmp_path: Path) -> None:
    write_emd(tmp_path / "a.emd", STACK, 2.5)
    with pytest.raises(InputError, match=r"frame must be one image, got 'image', which are 5: .* by its number"):
        read(tmp_path / "a.emd", frame="image")


def test_a_file_of_that_very_name_is_not_taken_apart(tmp_path: Path) -> None:
    imagej(tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "a.tif[3]", STACK[0])
    assert read(tmp_path / "a.tif[3]").metadata.get("frame") is None
    assert image_files(tmp_path / "a.tif[2]") == [tmp_path / "a.tif[2]"]


@pytest.mark.parametrize("name", ["one_page.tif", "volume.tif", "pages.tif"])
def test_a_stack_that_ends_early_is_refused_where_it_does(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    WRITERS[name](path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"truncated|cannot be read alone|not a readable"):
        read(path, frame=4)


@pytest.mark.parametrize("name", ["a.mrc", "a.tif"])
def test_one_image_of_a_long_movie_takes_the_memory_of_one(name: str, tmp_path: Path) -> None:
    movie = np.random.default_rng(1).integers(0, 60_000, (64, 512, 512)).astype(np.uint16)  # 32 MiB, 0.5 MiB each
    write_mrc(tmp_path / name, movie, 1.0) if name == "a.mrc" else tifffile.imwrite(tmp_path / name, movie, imagej=True)
    read(tmp_path / name, frame=0)  # imports, and the list of images
    tracemalloc.start()
    read(tmp_path / name, frame=40)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 2**20  # the values, 1 MiB of float32 and copies of both in the median
