"""What lies in a folder: images, masks next to them, label maps, and what is none of these."""

from pathlib import Path

import pytest

from nanolab.core.checks import InputError
from nanolab.images.folders import by_stem, find_files, image_files, label_files


def made(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def names(files: list[Path], folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in files]


def test_masks_next_to_their_image_are_no_images(tmp_path: Path) -> None:
    made(tmp_path, "a.tif", "a_cp_masks.png", "a.labels.tif", "b.DM3", "b_mask.png", "c_mask.png", "notes.txt")
    assert names(image_files(tmp_path), tmp_path) == ["a.tif", "b.DM3", "c_mask.png"]


def test_label_maps_are_those_that_nanolab_wrote_or_every_file(tmp_path: Path) -> None:
    own = made(tmp_path / "own", "a.labels.tif", "a.tif", "b_mask.png")
    alone = made(tmp_path / "alone", "a_m.tif", "b.png", "c.dm3")
    found = [names(label_files(folder), folder) for folder in (own, alone)]
    assert found == [["a.labels.tif"], ["a_m.tif", "b.png"]]


def test_folders_within_and_patterns_are_looked_through_when_asked(tmp_path: Path) -> None:
    made(tmp_path, "a.tif", "run1/b.TIF", "run2/c.png", ".hidden/d.tif", ".e.tif", "run1/.f.tif")
    (tmp_path / "g.tif").mkdir()
    assert names(image_files(tmp_path), tmp_path) == ["a.tif"]
    assert names(image_files(tmp_path, recursive=True), tmp_path) == ["a.tif", "run1/b.TIF", "run2/c.png"]
    assert names(image_files(tmp_path / "run*/*"), tmp_path) == ["run1/b.TIF", "run2/c.png"]


def test_files_are_taken_as_they_are_named_and_once(tmp_path: Path) -> None:
    file = made(tmp_path, "a.xyz", "b [1].tif") / "a.xyz"
    bracketed = tmp_path / "b [1].tif"
    assert image_files(file, bracketed, tmp_path, tmp_path / "missing.tif") == [
        *(file, bracketed, tmp_path / "missing.tif")
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent", "must be a folder of images, found none; check the path"),
        ("", r"must hold images \(\.bmp, .*\), found none; check the path"),
        ("*.tif", r"must hold images .* found none"),
    ],
)
def test_nothing_of_the_kind_is_said(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        image_files(tmp_path / name)


def test_two_files_of_one_stem_are_refused(tmp_path: Path) -> None:
    files = find_files(made(tmp_path, "a.png", "a.tif"), (".png", ".tif"))
    with pytest.raises(InputError, match=r"a\.tif: shares its stem with a\.png; rename one of them"):
        by_stem(files)
