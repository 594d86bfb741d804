from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.discs import disc_sample

from nanolab.core.checks import InputError
from nanolab.datasets.annotated import AnnotatedImage, LazyImages
from nanolab.training.loop import train
from nanolab.training.settings import TrainingSettings
from nanolab.training.sources import Source, draw_sources, shares, source_records, split_count, weights

SAMPLES = [disc_sample(seed) for seed in range(8)]


def test_so_many_images_are_drawn_the_same_for_the_same_seed_and_no_other_is_read() -> None:
    read = []

    def load(name: str) -> AnnotatedImage:
        read.append(name)
        return SAMPLES[int(name)]

    lazy = LazyImages(map(str, range(8)), load)
    (one,) = draw_sources([Source(lazy, 3)], seed=1)
    names = [sample.name for sample in one]
    assert len(set(names)) == 3 == len(read)
    assert names == sorted(names)
    assert names == [sample.name for sample in draw_sources([Source(SAMPLES, 3)], seed=1)[0]]
    others = {tuple(sample.name for sample in draw_sources([Source(SAMPLES, 3)], seed)[0]) for seed in range(20)}
    assert len(others) > 10  # of 56 possible draws


def test_each_source_draws_for_itself() -> None:
    one, other = draw_sources([Source(SAMPLES, 4), Source(SAMPLES, 4)], seed=0)
    assert [sample.name for sample in one] != [sample.name for sample in other]


def test_shares_decide_or_else_the_images() -> None:
    plain = [Source(SAMPLES[:2]), Source(SAMPLES[2:])]
    assert shares(plain, [2, 6]).tolist() == [0.25, 0.75]
    assert weights(plain, draw_sources(plain, 0)) == [1 / 8] * 8
    ratio = [Source(SAMPLES[:2], share=3), Source(SAMPLES[2:], share=1)]
    assert weights(ratio, draw_sources(ratio, 0)) == [3 / 8] * 2 + [1 / 24] * 6


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ([Source(SAMPLES, 9, name="few")], "few: 9 images are wanted of 8"),
        ([Source(SAMPLES, 0)], "source 1: 0 images are wanted"),
        ([Source(SAMPLES, share=1), Source(SAMPLES)], "every data set must have one"),
        ([Source(SAMPLES, share=0.0)], "from 1e-06 to 1e"),
        ([Source(SAMPLES, share=1e308)] * 2, "from 1e-06 to 1e"),  # whose sum is infinite
        ([Source(SAMPLES, share=1e-320), Source(SAMPLES, share=1e-320)], "from 1e-06 to 1e"),
        ([Source([], share=1.0, name="none")], "none: has a share, and no image"),
    ],
)
def test_what_cannot_be_mixed_is_refused(sources: list[Source], message: str) -> None:
    with pytest.raises(InputError, match=message):
        weights(sources, draw_sources(sources, 0))


def test_a_count_follows_the_last_colon(tmp_path: Path) -> None:
    assert split_count("data/a:100") == ("data/a", 100)
    assert split_count("C:/data/a:7") == ("C:/data/a", 7)
    assert split_count("C:/data/a") == ("C:/data/a", None)
    assert split_count("bam-tio2") == ("bam-tio2", None)
    (tmp_path / "run:100").mkdir()
    assert split_count(f"{tmp_path}/run:100") == (f"{tmp_path}/run:100", None)
    assert split_count(f"{tmp_path}/run:100:3") == (f"{tmp_path}/run:100", 3)


@pytest.mark.parametrize("text", ["a:", "a:0", "a:many", "a:-3", "a:1.5"])
def test_what_is_no_count_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="after the colon comes how many images to take"):
        split_count(text)


def test_a_training_records_its_mix(tmp_path: Path, tiny_settings: Callable[..., TrainingSettings]) -> None:
    sources = [Source(SAMPLES, 2, 1, "real"), Source(SAMPLES, 5, 4, "synthetic")]
    run = train(sources, tmp_path, tiny_settings(epochs=1), progress=False)
    assert run.record["data"]["images"] == 7
    expected = [{"name": "real", "images": 2, "share": 0.2}, {"name": "synthetic", "images": 5, "share": 0.8}]
    assert run.record["data"]["sources"] == expected == source_records(sources, draw_sources(sources, 0))
