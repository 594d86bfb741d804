import pandas as pd
import pytest
from helpers.disc_twins import Radii, disc_image, touching

from nanolab.datasets.annotated import AnnotatedImage
from nanolab.twin.resemblance import MOST, describe_images, resemblance, unlike


def described(images: list[AnnotatedImage]) -> pd.DataFrame:
    return describe_images([each.image for each in images], [touching(each.image) for each in images])


REAL = described([disc_image(seed, (5, 11)) for seed in range(8)])


def test_images_of_the_same_kind_resemble_each_other() -> None:
    assert unlike(resemblance(REAL, described([disc_image(seed, (5, 11)) for seed in range(50, 62)]))) == []


@pytest.mark.parametrize(
    ("radii_px", "options", "name"),
    [((12, 20), {"count": 20}, "median_size"), ((5, 11), {"count": 8}, "density"), ((5, 11), {"noise": 0.1}, "noise")],
    ids=["larger", "fewer", "another detector"],
)
def test_a_wrong_twin_is_caught_and_told_by_what(radii_px: Radii, options: dict[str, float], name: str) -> None:
    twins = described([disc_image(1000 + seed, radii_px, **options) for seed in range(14)])
    tables = [resemblance(REAL, twins.sample(8, random_state=trial)) for trial in range(10)]
    assert sum(bool(unlike(table)) for table in tables) >= 9  # of ten trials
    assert all(abs(table.set_index("property").loc[name, "off"]) > MOST / 2 for table in tables)


def test_grey_values_are_compared_whatever_their_brightness() -> None:
    images = [disc_image(seed, (5, 11)) for seed in range(4)]
    found = [touching(each.image) for each in images]
    darker = describe_images([0.5 * each.image + 0.1 for each in images], found)
    pd.testing.assert_frame_equal(darker, describe_images([each.image for each in images], found), rtol=1e-3)


def test_an_image_without_particles_is_described_by_its_grey_values() -> None:
    empty = disc_image(1, (5, 11), count=0)
    table = describe_images([empty.image, empty.image], [touching(empty.image)] * 2)
    assert table["median_size"].isna().all()
    assert table["noise"].notna().all()
