"""Distributions of a recipe: their moments, their bounds, their errors."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from nanolab.core.checks import InputError
from nanolab.synthesis.draws import Distribution, Empirical, LogNormal, Mixture, Normal, Positive, Uniform
from nanolab.synthesis.recipe import dump_recipe, load_recipe, parse_recipe, shipped_recipes

ANY = TypeAdapter(Distribution)
POSITIVE = TypeAdapter(Positive)
N = 20_000  # the standard error of a mean of SD 1 is 0.007


def test_number_is_constant(rng: np.random.Generator) -> None:
    assert ANY.validate_python(3).draw(rng, 4).tolist() == [3, 3, 3, 3]


def test_pair_is_uniform(rng: np.random.Generator) -> None:
    values = ANY.validate_python([2, 6]).draw(rng, N)
    assert values.mean() == pytest.approx(4, abs=4 * 1.155 / N**0.5)  # 4 standard errors
    assert 2 <= values.min() < values.max() <= 6


def test_normal_has_its_mean_and_sd(rng: np.random.Generator) -> None:
    values = Normal(mean=10, sd=2).draw(rng, N)
    assert values.mean() == pytest.approx(10, abs=4 * 2 / N**0.5)
    assert values.std() == pytest.approx(2, abs=4 * 2 / (2 * N) ** 0.5)


def test_lognormal_has_its_median_and_gsd(rng: np.random.Generator) -> None:
    logs = np.log(LogNormal(median=50, gsd=1.5).draw(rng, N))
    assert np.median(logs) == pytest.approx(np.log(50), abs=4 * 1.253 * np.log(1.5) / N**0.5)
    assert logs.std() == pytest.approx(np.log(1.5), abs=4 * np.log(1.5) / (2 * N) ** 0.5)


def test_mixture_keeps_its_weights(rng: np.random.Generator) -> None:
    mixture = Mixture(components=[1, 2], weights=[3, 1])
    share = (mixture.draw(rng, N) == 1).mean()
    assert share == pytest.approx(0.75, abs=4 * (0.75 * 0.25 / N) ** 0.5)


@given(median=st.floats(1, 1e3), gsd=st.floats(1.01, 4), low=st.floats(0.1, 0.99), high=st.floats(1.01, 10))
def test_bounds_hold(median: float, gsd: float, low: float, high: float) -> None:
    cut = LogNormal(median=median, gsd=gsd, min=low * median, max=high * median)
    values = cut.draw(np.random.default_rng(0), 200)
    # Inversion rounds at the bounds; 1e-9 is relative.
    assert (values >= low * median * (1 - 1e-9)).all()
    assert (values <= high * median * (1 + 1e-9)).all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kind": "uniform", "min": 5, "max": 3}, "range is empty"),
        ([1, 2, 3], "a range is"),
        ("30 nm", "expected a number"),
        ({"kind": "normal", "mean": 1, "sd": 0}, "greater than 0"),
        ({"kind": "mixture", "components": [1, 2], "weights": [1]}, "as many weights"),
        ({"kind": "gaussian", "mean": 1, "sd": 1}, "'normal'"),
        (float("nan"), "finite"),
    ],
)
def test_wrong_values_say_what_was_expected(wrong: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ANY.validate_python(wrong)


def test_positive_refuses_what_may_be_negative() -> None:
    with pytest.raises(ValidationError, match="above 0"):
        POSITIVE.validate_python({"kind": "normal", "mean": 10, "sd": 2})
    assert isinstance(POSITIVE.validate_python([0.5, 2]), Uniform)


def test_mixture_of_mixtures_has_the_moments_of_its_parts(rng: np.random.Generator) -> None:
    inner = {"kind": "mixture", "components": [{"kind": "normal", "mean": 10, "sd": 1}, [20, 24]], "weights": [1, 1]}
    mixture = ANY.validate_python({"kind": "mixture", "components": [inner, 40], "weights": [2, 1]})
    values = mixture.draw(rng, N)
    # Means 10, 22 and 40, a third each: 24, and an SD of 12.4.
    assert values.mean() == pytest.approx(24, abs=4 * 12.4 / N**0.5)
    for low, high in ((0, 16), (20, 24), (40, 40)):
        share = ((values >= low) & (values <= high)).mean()
        assert share == pytest.approx(1 / 3, abs=4 * (2 / 9 / N) ** 0.5)


def test_mixture_spans_its_components() -> None:
    mixture = ANY.validate_python({"kind": "mixture", "components": [[5, 9], [2, 3]], "weights": [1, 0.1]})
    assert mixture.support == (2, 9)
    with pytest.raises(ValidationError, match="above 0, these go down to -1"):
        POSITIVE.validate_python({"kind": "mixture", "components": [[5, 9], [-1, 3]], "weights": [1, 1]})


def test_same_seed_same_values() -> None:
    mixture = Mixture.model_validate(
        {"components": [Empirical(values=[1, 2, 3]), {"kind": "lognormal", "median": 5, "gsd": 2}], "weights": [1, 1]}
    )
    first, again = (mixture.draw(np.random.default_rng(3), 50) for _ in range(2))
    assert np.array_equal(first, again)


def test_empirical_draws_its_values_as_often_as_they_stand(rng: np.random.Generator) -> None:
    values = Empirical(values=[7.5, 20, 20, 31]).draw(rng, N)
    assert set(values) == {7.5, 20, 31}
    assert (values == 20).mean() == pytest.approx(0.5, abs=4 * (0.25 / N) ** 0.5)


def table(folder: Path, text: str, name: str = "sizes.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


TABLE = "image,ecd_nm,area_nm2\na,12.5,122\nb,30,707\nc,1e1,78\n"


@pytest.mark.parametrize(
    ("text", "column", "values"),
    [
        (TABLE, "ecd_nm", [12.5, 30, 10]),
        (TABLE, "area_nm2", [122, 707, 78]),
        ("ecd_nm\n3\n4\n", None, [3, 4]),  # one column needs no name
        ("ecd_nm\r\n3\r\n\r\n4\r\n", None, [3, 4]),  # as Windows writes lines; an empty one is none
        ("\ufeffecd_nm,n\n3,1\n", "ecd_nm", [3]),  # as spreadsheets mark UTF-8
        ('"diameter, nm",n\n"3",1\n', "diameter, nm", [3]),
    ],
)
def test_empirical_reads_a_column(text: str, column: str | None, values: list[float], tmp_path: Path) -> None:
    given = {"kind": "empirical", "file": str(table(tmp_path, text))} | ({"column": column} if column else {})
    drawn = ANY.validate_python(given)
    assert drawn == Empirical(values=values)
    assert drawn.support == (min(values), max(values))


@pytest.mark.parametrize(
    ("text", "more", "message"),
    [
        (TABLE, {}, "no column None; name one of 'image', 'ecd_nm', 'area_nm2' as `column`"),
        (TABLE, {"column": "ecd"}, "no column 'ecd'; name one of 'image', 'ecd_nm'"),
        (TABLE, {"column": "image"}, "sizes.csv line 2: expected a number, got 'a'"),
        ("ecd_nm\n3\n4 nm\n", {}, "sizes.csv line 3: expected a number, got '4 nm'"),
        ("ecd_nm,n\n3,1\n,2\n", {"column": "ecd_nm"}, "sizes.csv line 3: expected a number, got ''"),
        ("n,ecd_nm\n3,1\n4\n", {"column": "ecd_nm"}, "sizes.csv line 3: expected a number, got None"),
        ("ecd_nm\n3\nnan\n", {}, "sizes.csv line 3: expected a number, got 'nan'"),
        ("ecd_nm\ninf\n", {}, "sizes.csv line 2: expected a number, got 'inf'"),
        ("ecd_nm\n", {}, "at least 1 item"),
        (TABLE, {"column": "ecd_nm", "max": 30}, "goes with a column only, not with max"),
        (TABLE, {"values": [1, 2]}, "goes with a column only, not with values"),
    ],
)
def test_wrong_tables_say_where_and_what(text: str, more: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=message):
        ANY.validate_python({"kind": "empirical", "file": str(table(tmp_path, text)), **more})


def test_table_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sizes.csv").write_bytes(b"ecd_nm\n\xff\xfe\n")
    with pytest.raises(ValidationError, match="utf-8"):
        ANY.validate_python({"kind": "empirical", "file": str(tmp_path / "sizes.csv")})


def test_sizes_of_zero_or_less_are_refused_from_a_table_too(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="above 0, these go down to 0"):
        POSITIVE.validate_python({"kind": "empirical", "file": str(table(tmp_path, "ecd_nm\n3\n0\n"))})


RECIPE = """
name: test
image: {width_px: 64, height_px: 48, pixel_size_nm: 2}
particles:
- template: sphere
  diameter_nm:
    kind: mixture
    components: [{kind: empirical, file: measured/sizes.csv, column: ecd_nm}, [20, 30]]
    weights: [3, 1]
arrangement: {kind: scattered, count: {kind: empirical, values: [3, 4, 4]}}
detector: {kind: se, substrate_level: 0.1, particle_level: 0.5}
occlusion_distance_nm: 50
"""


def test_tables_begin_at_the_recipes_folder_and_their_values_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "measured").mkdir()
    path = table(tmp_path / "measured", TABLE)
    (tmp_path / "mine.yaml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path / "measured")  # where the process runs does not matter
    recipe = load_recipe(tmp_path / "mine.yaml")
    sizes = recipe.particles[0].size
    assert sizes.components == [Empirical(values=[12.5, 30, 10]), Uniform(min=20, max=30)]
    text = dump_recipe(recipe)
    path.unlink()  # the dump needs the table no more
    assert parse_recipe(text, "dump") == recipe
    assert "12.5" in text
    assert "sizes.csv" not in text


def test_missing_table_is_named_with_its_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="CSV file not found") as caught:
        parse_recipe(RECIPE, "mine.yaml", folder=tmp_path)
    assert str(tmp_path / "measured" / "sizes.csv") in str(caught.value)


@pytest.mark.parametrize("name", shipped_recipes())
def test_dump_of_a_dump_is_the_same_and_draws_the_same_sizes(name: str) -> None:
    recipe = load_recipe(name)
    again = parse_recipe(dump_recipe(recipe), "dump")
    assert dump_recipe(again) == dump_recipe(recipe)
    for kind, same in zip(recipe.particles, again.particles, strict=True):
        sizes = [one.size.draw(np.random.default_rng(5), 20) for one in (kind, same)]
        assert np.array_equal(*sizes)
