"""Distributions of a recipe: their moments, their bounds, their errors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from nanolab.synth.draws import Distribution, LogNormal, Mixture, Normal, Positive, Uniform

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
