"""Passes: kept without loss, and the occlusion's noise."""

from pathlib import Path

import numpy as np
import pytest

from nanolab.core.checks import InputError
from nanolab.synthesis.passes import Matter, Passes, denoise_occlusion, load_passes, save_passes


def passes(seed: int = 0, shape: tuple[int, int] = (24, 32), *, matter: bool = True) -> Passes:
    rng = np.random.default_rng(seed)
    entries = Matter(
        pixel=np.array([0, 5, 5], dtype=np.int32),
        label=np.array([1, 1, 2], dtype=np.int32),
        thickness_nm=np.array([3, 4, 6], dtype=np.float32),
        scattering_nm=np.array([3, 4, 12], dtype=np.float32),
    )
    return Passes(
        labels=rng.integers(0, 3, shape, dtype=np.int32),
        height_nm=rng.random(shape, dtype=np.float32),
        normals=rng.random((*shape, 3), dtype=np.float32),
        openness=rng.random(shape, dtype=np.float32),
        pixel_size_nm=1.7,
        matter=entries if matter else None,
        contrast=np.array([1, 1, 2], dtype=np.float32) if matter else None,
    )


@pytest.mark.parametrize("matter", [True, False])
def test_kept_passes_come_back_as_they_were(tmp_path: Path, matter: bool) -> None:
    kept = passes(matter=matter)
    save_passes(tmp_path / "passes.npz", kept)
    back = load_passes(tmp_path / "passes.npz")
    for name in ("labels", "height_nm", "normals", "openness"):
        assert np.array_equal(getattr(back, name), getattr(kept, name))
        assert getattr(back, name).dtype == getattr(kept, name).dtype
    assert back.pixel_size_nm == 1.7
    if matter:
        assert back.matter is not None
        assert kept.matter is not None
        assert np.array_equal(back.matter.scattering_nm, kept.matter.scattering_nm)
        assert np.array_equal(back.contrast, [1, 1, 2])
    else:
        assert back.matter is back.contrast is None


def test_the_same_passes_give_the_same_file(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        save_passes(tmp_path / name, passes())
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize("content", [b"PK", b"", b"no archive at all", None])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "passes.npz"
    save_passes(path, passes())
    path.write_bytes(path.read_bytes()[:-300] if content is None else content)
    with pytest.raises(InputError, match="passes"):
        load_passes(path)


def test_an_archive_of_something_else_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", labels=np.zeros(3))
    with pytest.raises(InputError, match="not a file of passes"):
        load_passes(tmp_path / "other.npz")


def test_thickness_adds_up_where_particles_overlap() -> None:
    thickness = passes().thickness_nm
    assert thickness is not None
    assert thickness[0, 0] == 3
    assert thickness[0, 5] == 10
    assert thickness.sum() == 13
    assert passes(matter=False).thickness_nm is None


def test_denoising_keeps_the_border_between_particle_and_substrate() -> None:
    labels = np.zeros((32, 32), dtype=np.int32)
    labels[:, 16:] = 1
    openness = np.where(labels, 0.2, 0.9).astype(np.float32)
    assert denoise_occlusion(openness, labels, 1.5) == pytest.approx(openness, abs=1e-5)
