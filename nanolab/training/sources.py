"""Training on several data sets at once: how many images of each, and how often each is shown."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nanolab.core.checks import InputError
from nanolab.core.seeds import generator
from nanolab.datasets.annotated import AnnotatedImage, LazyImages

__all__ = ["Source", "draw_sources", "shares", "source_records", "split_count", "weights"]

_SHARES = (1e-6, 1e6)  # beyond, their sum is none
_MIX_KEY = 3  # keeps the choice of images apart from other draws of the same seed


@dataclass(frozen=True)
class Source:
    """One of the data sets of a training.

    Attributes
    ----------
    samples
        Annotated images; only those that are drawn are read.
    count
        Take so many of them, drawn at random by the seed of the training; all if None.
    share
        How often a patch comes from here, in proportion to the shares of the other sources. Without shares a patch
        comes from any image of any source with equal probability.
    name
        What run.json calls it.
    """

    samples: Iterable[AnnotatedImage]
    count: int | None = None
    share: float | None = None
    name: str = ""


def draw_sources(sources: Sequence[Source], seed: int) -> list[Sequence[AnnotatedImage]]:
    """Return the images that a training takes from each source, in their order; the same for the same seed.

    Raises
    ------
    InputError
        If a source has fewer images than are wanted, or none.
    """
    return [_drawn(source, index, seed) for index, source in enumerate(sources)]


def _drawn(source: Source, index: int, seed: int) -> Sequence[AnnotatedImage]:
    samples = source.samples if isinstance(source.samples, Sequence) else list(source.samples)
    if source.count is None:
        return samples
    if not 1 <= source.count <= len(samples):
        raise InputError(
            f"{source.name or f'source {index + 1}'}: {source.count} images are wanted of {len(samples)}; "
            "ask for at least one and no more than there are"
        )
    chosen = np.sort(generator(seed, _MIX_KEY, index).choice(len(samples), source.count, replace=False))
    return LazyImages(map(str, chosen.tolist()), lambda at: samples[int(at)])


def weights(sources: Sequence[Source], chosen: Sequence[Sequence[AnnotatedImage]]) -> list[float]:
    """Return for each image, source by source, the probability that a patch comes from it."""
    counts = [len(samples) for samples in chosen]
    odds = shares(sources, counts)
    return [float(share) / count for share, count in zip(odds, counts, strict=True) for _ in range(count)]


def shares(sources: Sequence[Source], counts: Sequence[int]) -> npt.NDArray[np.float64]:
    """Return with which probability a patch comes from each source that has so many images.

    Raises
    ------
    InputError
        If shares are given for some sources only, or are out of range.
    """
    given = [source.share for source in sources if source.share is not None]
    low, high = _SHARES
    if given and (len(given) < len(sources) or not all(low <= share <= high for share in given)):
        raise InputError(
            f"shares: every data set must have one, from {low:g} to {high:g}, got {[each.share for each in sources]}"
        )
    if given and 0 in counts:
        raise InputError(f"{sources[list(counts).index(0)].name or 'a data set'}: has a share, and no image to show")
    parts = np.array(given or counts, dtype=np.float64)
    return parts / max(parts.sum(), 1)


def source_records(sources: Sequence[Source], chosen: Sequence[Sequence[AnnotatedImage]]) -> list[dict[str, Any]]:
    """Return what run.json says of the sources."""
    odds = shares(sources, [len(samples) for samples in chosen])
    return [
        {"name": source.name, "images": len(samples), "share": round(float(share), 6)}
        for source, samples, share in zip(sources, chosen, odds, strict=True)
    ]


def split_count(text: str) -> tuple[str, int | None]:
    """Split `FOLDER:COUNT` at its last colon; a folder of that very name, colon and all, is a folder.

    Raises
    ------
    InputError
        If the count is not a whole number above 0.

    Examples
    --------
    >>> split_count("data/synthetic/my:300")
    ('data/synthetic/my', 300)
    >>> split_count("C:/data")
    ('C:/data', None)
    """
    where, colon, count = text.rpartition(":")
    if not colon or Path(text).exists() or "/" in count or "\\" in count:
        return text, None
    if not count.isdecimal() or int(count) == 0:
        raise InputError(f"{text}: after the colon comes how many images to take, got {count!r}; such as {where}:100")
    return where, int(count)
