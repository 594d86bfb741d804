import numpy as np
import pytest
import torch
from discs import TINY

from nanolab.checks import InputError
from nanolab.models import NETWORKS
from nanolab.models.readouts import make_readout
from nanolab.train.learner import Learner, learning_rate
from nanolab.train.settings import TrainingSettings

SETTINGS = TrainingSettings.model_construct(
    **{**TrainingSettings().model_dump(), "network": "tiny", "device": "cpu", "precision": "float32"}
)
READOUT = make_readout("foreground")


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NETWORKS, "tiny", TINY["tiny"])


@pytest.fixture
def batch(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    image = rng.random((2, 1, 32, 32), dtype=np.float32)
    return image, (image > 0.5).astype(np.float32)


def rates(schedule: str) -> np.ndarray:
    settings = TrainingSettings(schedule=schedule, epochs=10, steps_per_epoch=10, learning_rate=0.01)
    return np.array([learning_rate(step, settings) for step in range(settings.steps)])


def test_one_cycle_rises_for_a_fifth_and_falls_to_nearly_nothing() -> None:
    found = rates("one-cycle")
    assert found.argmax() == 20
    assert found.max() == 0.01
    assert (np.diff(found[:21]) > 0).all()
    assert (np.diff(found[20:]) < 0).all()
    assert found[60] == pytest.approx(0.005)  # half way down
    assert 0 < found[-1] < 1e-5


def test_cosine_falls_from_the_start_and_constant_stays() -> None:
    assert rates("cosine")[[0, 50]].tolist() == pytest.approx([0.01, 0.005])
    assert set(rates("constant").tolist()) == {0.01}


def test_steps_lower_the_loss(batch: tuple[np.ndarray, np.ndarray]) -> None:
    learner = Learner(SETTINGS.model_copy(update={"schedule": "constant", "learning_rate": 0.01}), READOUT)
    losses = [learner.step(step, *batch) for step in range(30)]
    # the network can represent this threshold of a single pixel exactly: 30 steps take off most of it
    assert losses[-1] < 0.5 * losses[0]


def test_the_average_follows_the_weights_slowly(batch: tuple[np.ndarray, np.ndarray]) -> None:
    learner = Learner(SETTINGS.model_copy(update={"ema_decay": 0.9}), READOUT)
    key = "layers.0.weight"
    mean = learner.average.state_dict()[key].clone()
    for step in range(12):
        learner.step(step, *batch)
        decay = min(0.9, (1 + step) / (10 + step))
        mean = decay * mean + (1 - decay) * learner.network.state_dict()[key]
    torch.testing.assert_close(learner.average.state_dict()[key], mean, atol=1e-6, rtol=0)
    assert not torch.equal(mean, learner.network.state_dict()[key])
    assert not learner.average.training


def test_no_averaging_takes_the_last_weights(batch: tuple[np.ndarray, np.ndarray]) -> None:
    learner = Learner(SETTINGS.model_copy(update={"ema_decay": 0.0}), READOUT)
    learner.step(0, *batch)
    for mean, now in zip(learner.average.state_dict().values(), learner.network.state_dict().values(), strict=True):
        assert torch.equal(mean, now)


def test_a_restored_learner_goes_on_exactly(batch: tuple[np.ndarray, np.ndarray]) -> None:
    one, other = Learner(SETTINGS, READOUT), Learner(SETTINGS.model_copy(update={"seed": 5}), READOUT)
    for step in range(3):
        one.step(step, *batch)
    other.restore({name: value.clone() for name, value in one.tensors().items()})
    other._settings = SETTINGS
    # the network has dropout: equal only if what it draws depends on seed and step alone
    assert one.step(3, *batch) == other.step(3, *batch)
    for name, value in one.tensors().items():
        assert torch.equal(value, other.tensors()[name]), name


def test_a_loss_that_is_not_a_number_stops_before_any_harm(batch: tuple[np.ndarray, np.ndarray]) -> None:
    learner = Learner(SETTINGS, READOUT)
    learner.step(0, *batch)
    before = {name: value.clone() for name, value in learner.network.named_parameters()}
    with pytest.raises(InputError, match=r"step 1: the loss became nan; .* a lower learning_rate than 0\.002"):
        learner.step(1, batch[0] * np.float32(np.nan), batch[1])
    assert all(torch.equal(value, before[name]) for name, value in learner.network.named_parameters())


def test_the_state_of_another_network_is_refused() -> None:
    wide = Learner(SETTINGS.model_copy(update={"network_options": {"width": 9}}), READOUT)
    with pytest.raises(InputError, match="fits another network"):
        Learner(SETTINGS, READOUT).restore(wide.tensors())
    with pytest.raises(InputError, match="fits another network"):
        Learner(SETTINGS, READOUT).restore({"something": torch.zeros(1)})
