"""Whatever an annotation file holds, it is understood or refused with a message; none of it ends in a traceback."""

import copy
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.annotated_files import SHAPE, WRITERS

from nanolab.core.checks import InputError
from nanolab.datasets.annotations.pairing import find_pairs
from nanolab.images.tiff import write_tiff

VALUES: list[Any] = [None, -1, 1e300, float("nan"), 10**30, "\ud800", "../x", [], {}, [None], [1e5] * 7]


def places(content: Any) -> Iterator[tuple[Any, Any]]:
    """Each container within JSON, with each of its keys."""
    keys = list(content) if isinstance(content, dict) else range(len(content)) if isinstance(content, list) else ()
    for key in keys:
        yield content, key
        yield from places(content[key])


def spoilt(text: str) -> Iterator[str]:
    """The JSON with each value in turn replaced by something absurd, or taken out."""
    count = sum(1 for _ in places(json.loads(text)))
    for number in range(count):
        for value in VALUES[number % 2 :: 2]:  # half of them at each place
            content = json.loads(text)
            container, key = list(places(content))[number]
            container[key] = copy.deepcopy(value)
            yield json.dumps(content)
        content = json.loads(text)
        container, key = list(places(content))[number]
        del container[key]
        yield json.dumps(content)


def damaged(content: bytes, rng: np.random.Generator, count: int) -> Iterator[bytes]:
    """The bytes with a few changed, every third time cut short as well."""
    for number in range(count):
        changed = bytearray(content)
        for place in rng.integers(0, len(changed), rng.integers(1, 5)):
            changed[place] = rng.choice([0, 127, 128, 255, rng.integers(256)])
        yield bytes(changed[: rng.integers(len(changed))] if number % 3 == 0 else changed)


def understood(path: Path, images: Path) -> None:
    """Read an annotation file as an import does; what cannot be used must be said."""
    pairs, left_out = find_pairs(path, images, "auto")
    assert all(left_out.values())
    for pair in pairs:
        with suppress(InputError):
            pair.annotation.labels(SHAPE)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    write_tiff(tmp_path / "images/a.tif", np.eye(*SHAPE, dtype=np.uint8), pixel_size_nm=None)
    return tmp_path / "images"


@pytest.mark.parametrize("kind", ["labelme", "via", "coco"])
def test_any_value_in_place_of_another(tmp_path: Path, images: Path, kind: str) -> None:
    name, write = WRITERS[kind]
    write(tmp_path / name, "a.tif")
    for text in spoilt((tmp_path / name).read_text()):
        (tmp_path / name).write_text(text)
        understood(tmp_path / name, images)


@pytest.mark.filterwarnings("ignore::UserWarning")  # of libraries, about what they skip
@pytest.mark.parametrize("kind", WRITERS)
def test_any_bytes_changed_or_cut_off(tmp_path: Path, images: Path, kind: str, rng: np.random.Generator) -> None:
    name, write = WRITERS[kind]
    write(tmp_path / name, "a.tif")
    for content in damaged((tmp_path / name).read_bytes(), rng, 60):
        (tmp_path / name).write_bytes(content)
        understood(tmp_path / name, images)
