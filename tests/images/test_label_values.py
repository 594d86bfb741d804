"""Masks as people save them are understood or refused; never is a grey level taken for a particle."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter
from scipy import ndimage

from nanolab.core.checks import InputError
from nanolab.images.label_values import labels_from_mask, labels_from_values

BOXES = ((80, 80, 160, 160), (280, 100, 400, 220), (120, 300, 240, 420))


def drawn(size: int = 480) -> Image.Image:
    """Three discs, white on black."""
    picture = Image.new("L", (480, 480))
    for box in BOXES:
        ImageDraw.Draw(picture).ellipse(box, fill=255)
    return picture if size == 480 else picture.resize((size, size), Image.Resampling.LANCZOS)


def jpeg(picture: Image.Image, quality: int) -> Image.Image:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=quality)
    return Image.open(stream)


def micrograph(rng: np.random.Generator, shape: tuple[int, int] = (200, 240)) -> np.ndarray:
    """Bright discs on a darker ground, with noise."""
    rows, columns = np.indices(shape)
    grey = np.full(shape, 60.0)
    for _ in range(25):
        row, column = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
        grey[np.hypot(rows - row, columns - column) < 12] = 170
    return grey + rng.normal(0, 8, shape)


MASK = np.asarray(drawn(120)) > 127


@pytest.mark.parametrize(
    "values",
    [
        MASK,
        *(MASK.astype(dtype) * high for dtype, high in (("uint8", 1), ("uint8", 255), ("uint16", 65535), ("uint8", 7))),
        MASK.astype(np.uint32) * (2**32 - 1),
        MASK.astype(np.float32),
        np.where(MASK, 2, 1),
        np.where(MASK, 1, 2),
        np.stack([MASK.astype(np.uint8) * 255] * 3, axis=-1),
        np.stack([MASK.astype(np.uint8) * 255] * 3 + [np.full(MASK.shape, 255, np.uint8)], axis=-1),
        np.stack([MASK.astype(np.uint8) * 255, *[np.zeros(MASK.shape, np.uint8)] * 2], axis=-1),  # red on black
    ],
)
def test_two_values_are_a_binary_mask_whatever_they_are(values: np.ndarray) -> None:
    assert np.array_equal(labels_from_values(values, "m"), labels_from_mask(MASK))


@pytest.mark.parametrize(
    "picture",
    [
        *(drawn(size) for size in (60, 120, 300, 1000)),
        drawn(120).filter(ImageFilter.GaussianBlur(1)),
        *(jpeg(drawn(120), quality) for quality in (95, 80)),
    ],
)
def test_soft_outlines_are_no_particles(picture: Image.Image) -> None:
    values = np.asarray(picture)
    for scaled in (values, values / 255, values.astype(np.uint16) * 257):
        labels = labels_from_values(scaled, "m")
        assert np.array_equal(labels, labels_from_mask(values >= (int(values.min()) + int(values.max())) / 2))
        assert labels.max() == 3


def test_a_soft_mask_in_which_thresholds_disagree_is_refused() -> None:
    mask = np.zeros((60, 60), dtype=np.uint8)
    mask[10:50, 10:29] = mask[10:50, 31:50] = 255  # a cut of two pixels, which the smoothing all but fills
    soft = Image.fromarray(mask).filter(ImageFilter.GaussianBlur(1))
    with pytest.raises(InputError, match="1 to 2 particles are in it, depending on the threshold; save"):
        labels_from_values(np.asarray(soft), "m")


def test_label_maps_keep_their_numbers_even_where_a_particle_is_in_two_pieces() -> None:
    labels = labels_from_mask(MASK) * 40
    labels[60] = 0
    for dtype in (np.uint8, np.int32, np.uint16, np.float64):
        assert np.array_equal(labels_from_values(labels.astype(dtype), "m"), labels)


def test_numbers_beyond_32_bits_are_counted_anew() -> None:
    labels = labels_from_mask(MASK)
    large = np.where(labels > 0, labels + np.int64(2**31), 0)
    assert np.array_equal(labels_from_values(large, "m"), labels)
    assert labels_from_values(np.where(labels > 1, 2**31 - 1, labels), "m").max() == 2**31 - 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_micrograph_is_no_label_map(rng: np.random.Generator, dtype: type) -> None:
    grey = micrograph(rng)
    smooth = ndimage.gaussian_filter(grey, 3)
    for image in (grey, grey - grey.min(), grey * 200, smooth, smooth.clip(80, None) - 80, np.rint(grey / 40) * 40):
        with pytest.raises(InputError, match=r"m: must be a mask or a label map, got .*; save the particles"):
            labels_from_values(image.astype(dtype), "m")


@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 0.7])
def test_noise_is_no_mask_but_a_few_specks_are_kept(rng: np.random.Generator, share: float) -> None:
    with pytest.raises(InputError, match=r"pieces in this mask are lines or dots, as thresholds make of noise"):
        labels_from_values(rng.random((128, 128)) < share, "m")
    specks = np.kron(MASK, np.ones((9, 9), dtype=np.uint8))  # large particles
    specks[0, ::7] = 1
    assert labels_from_values(specks, "m").max() > 10


def test_no_micrograph_of_emps_is_taken_for_labels_and_every_map_is_kept(emps_folder) -> None:
    for path in sorted((emps_folder / "images").glob("*.png"))[::8]:
        with pytest.raises(InputError, match="must be a mask or a label map"):
            labels_from_values(np.asarray(Image.open(path).convert("L")), path.name)
    for path in sorted((emps_folder / "segmaps").glob("*.png"))[::8]:
        values = np.asarray(Image.open(path))
        found = labels_from_values(values, path.name)
        assert np.array_equal(found > 0, values > 0)
        assert values.max() == 1 or np.array_equal(found, values) or len(np.unique(values)) == 2


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full((9, 9), np.nan), "NaN"),
        (np.where(MASK, np.inf, 0), "NaN or infinite"),
        (np.where(MASK, -1, 0), "must not hold negative values, got -1"),
        (np.ones((9, 9), np.uint8), "all pixels have the value 1; a mask needs"),
        (np.where(np.arange(90) < 50, 1, 2) * np.ones((90, 1), int), None),
        (np.pad(np.full((80, 80), 1), 5, constant_values=2), "which of 1 and 2 is background cannot be told"),
        (np.zeros((9, 9, 2, 2)), "must have shape"),
        (np.zeros((0, 9)), "must have shape"),
        (np.zeros((9, 9), complex), "must have shape"),
    ],
)
def test_what_could_mean_several_things_is_refused(values: np.ndarray, message: str | None) -> None:
    if message is None:
        assert labels_from_values(values, "m").max() == 1
    else:
        with pytest.raises(InputError, match=f"m: .*{message}"):
            labels_from_values(values, "m")


def test_an_interpolated_label_map_is_refused() -> None:
    labels = labels_from_mask(MASK).astype(np.uint8) * 20
    halved = np.asarray(Image.fromarray(labels).resize((60, 60), Image.Resampling.BILINEAR))
    with pytest.raises(InputError, match="must be a mask or a label map"):
        labels_from_values(halved, "m")


def test_a_mask_with_particles_of_0_is_refused_and_not_taken_for_one_particle_with_holes() -> None:
    with pytest.raises(InputError, match="255 is all around and 0 within, as if particles were 0; invert the mask"):
        labels_from_values(np.where(MASK, 0, 255).astype(np.uint8), "inverted.png")
    assert labels_from_values(np.where(MASK, 0, 255).astype(np.uint8), "asked.png", "binary").max() == 1


def test_border_and_interior_as_two_classes_are_one_particle() -> None:
    interior = ndimage.binary_erosion(MASK, iterations=2)
    assert np.array_equal(labels_from_values(MASK.astype(np.uint8) + interior, "m"), labels_from_mask(MASK))
