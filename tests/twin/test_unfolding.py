import numpy as np
import pytest
from scipy.stats import norm

from nanolab.core.checks import InputError
from nanolab.twin.correction import NAMES
from nanolab.twin.response import Response
from nanolab.twin.unfolding import Spectrum, unfold

EDGES = np.geomspace(50, 500, 31)
MIDDLES = np.sqrt(EDGES[1:] * EDGES[:-1])
TRUTH = 1000 * np.exp(-0.5 * (np.log(MIDDLES / 150) / 0.35) ** 2)
ALL = np.ones(30, dtype=bool)


def response(efficiency: float = 1.0, blur: float = 0.0, false: float = 0.0) -> Response:
    away = np.subtract.outer(np.arange(30), np.arange(30))
    matrix = np.exp(-0.5 * (away / blur) ** 2) if blur else np.eye(30)
    return Response(EDGES, efficiency * matrix / matrix.sum(axis=0), np.full(30, false), ALL)


def test_what_is_found_of_everything_is_what_is_there() -> None:
    assert unfold(TRUTH, response(), area_nm2=1).counts == pytest.approx(TRUTH)


def test_missed_and_false_ones_are_made_up_for() -> None:
    spectrum = unfold(0.5 * TRUTH + 3, response(0.5, false=1.5), area_nm2=2)
    # the false ones are few where most particles are and many in the tail, which settles last and makes the volume
    assert spectrum.values() == pytest.approx(Spectrum(EDGES, TRUTH, ALL).values(), rel=0.02)


def test_smeared_sizes_are_sharpened() -> None:
    smearing = response(0.8, blur=2)
    spectrum = unfold(smearing.matrix @ TRUTH, smearing, area_nm2=1)
    truth = Spectrum(EDGES, TRUTH, ALL)
    # it stops once an iteration moves less than 0.5 % of the particles, so that percentiles are about that near
    assert spectrum.values() == pytest.approx(truth.values(), rel=0.01)


def test_sizes_of_which_too_few_are_found_are_not_reported() -> None:
    partly = response()
    partly.matrix[:, :10] *= 0.2
    spectrum = unfold(partly.matrix @ TRUTH, partly, area_nm2=1)
    assert spectrum.range_nm == pytest.approx((EDGES[10], EDGES[-1]))
    assert spectrum.values()[0] == pytest.approx(TRUTH[10:].sum())


def test_by_volume_the_large_ones_count() -> None:
    spectrum = Spectrum(np.array([100.0, 101.0, 200.0, 202.0]), np.array([7.0, 0.0, 1.0]), np.ones(3, dtype=bool))
    values = spectrum.values()
    assert values[2] == pytest.approx(100.5, abs=0.5)  # seven of eight are there
    assert values[8] == pytest.approx(200.5, abs=1)  # 8 parts of volume against 7


def test_a_log_normal_spectrum_has_its_median_and_geometric_sd() -> None:
    edges = np.geomspace(10, 2000, 120)
    spectrum = Spectrum(edges, np.diff(norm.cdf(np.log(edges / 150) / np.log(1.5))), np.ones(119, dtype=bool))
    values = dict(zip(NAMES, spectrum.values(), strict=True))
    # by volume the median is that times exp(3 s^2) (Hatch & Choate 1929, 10.1016/S0016-0032(29)91451-4)
    assert values["geometric_mean_nm"] == pytest.approx(150, rel=1e-3)
    assert values["geometric_mean_nm_by_volume"] == pytest.approx(150 * np.exp(3 * np.log(1.5) ** 2), rel=3e-3)
    assert values["geometric_sd"] == pytest.approx(1.5, rel=2e-3)
    assert values["geometric_sd_by_volume"] == pytest.approx(1.5, rel=2e-3)


def test_a_network_that_finds_nearly_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="30% of its particles"):
        unfold(TRUTH, response(0.2), area_nm2=1)
