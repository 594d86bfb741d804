import numpy as np
import pytest
import torch
from helpers.discs import TINY

from nanolab.core.checks import InputError
from nanolab.models.readouts.base import make_readout
from nanolab.models.registry import NETWORKS
from nanolab.training.learner import Learner, learning_rate, loss_function, plateau_factor, predicted_logits
from nanolab.training.settings import TrainingSettings

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


def test_polynomial_falls_with_the_power_of_the_steps_left() -> None:
    assert rates("polynomial")[[0, 50]].tolist() == pytest.approx([0.01, 0.01 * 0.5**0.9])


def test_a_plateau_halves_the_rate_after_40_epochs_without_a_record() -> None:
    assert plateau_factor([1.0] * 40) == 1  # the first is a record; 39 are not
    assert plateau_factor([1.0] * 41) == 0.5
    assert plateau_factor([1.0] * 81) == 0.25
    assert plateau_factor([1.0] * 40 + [0.9] + [1.0] * 39) == 1


def unknown_from(targets: np.ndarray, col: int) -> torch.Tensor:
    marked = torch.from_numpy(targets.copy())
    marked[:, 0, :, col:] = torch.nan
    return marked


@pytest.mark.parametrize(
    ("loss", "readout"),
    [("readout", "interior+border"), *((loss, "foreground") for loss in ("readout", "bce", "dice", "class dice"))],
)
def test_the_loss_is_that_of_the_known_pixels_alone(loss: str, readout: str, rng: np.random.Generator) -> None:
    made = make_readout(readout)
    loss_of = loss_function(TrainingSettings(loss=loss, readout=readout), made)
    targets = rng.random((2, made.channels, 32, 32), dtype=np.float32)
    logits = torch.from_numpy(rng.standard_normal(targets.shape, dtype=np.float32)).requires_grad_()
    found = loss_of(logits, unknown_from(targets, 20))
    alone = loss_of(logits[..., :20], torch.from_numpy(targets[..., :20]))
    assert found.item() == pytest.approx(alone.item(), rel=1e-5)  # summed in another order
    found.backward()
    assert logits.grad is not None
    assert not logits.grad[..., 20:].any()
    assert logits.grad[..., :20].all()


def test_a_batch_of_which_nothing_is_known_teaches_nothing(rng: np.random.Generator) -> None:
    logits = torch.from_numpy(rng.random((1, 1, 32, 32), dtype=np.float32)).requires_grad_()
    loss = loss_function(SETTINGS, READOUT)(logits, torch.full((1, 1, 32, 32), torch.nan))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_losses_are_those_of_their_formulas() -> None:
    logits = torch.tensor([[[[0.0, np.log(3)]]]])  # probabilities 1/2 and 3/4
    targets = torch.tensor([[[[0.0, 1.0]]]])
    bce = loss_function(SETTINGS.model_copy(update={"loss": "bce"}), READOUT)
    assert bce(logits, targets).item() == pytest.approx(-(np.log(1 / 2) + np.log(3 / 4)) / 2)
    dice = loss_function(SETTINGS.model_copy(update={"loss": "dice"}), READOUT)
    # overlap 3/4, sum 1/2 + 3/4 + 1; one is added above and below
    assert dice(logits, targets).item() == pytest.approx(1 - (2 * 0.75 + 1) / (2.25 + 1))


def test_any_patch_size_is_mirrored_to_what_the_network_takes_and_cut_back() -> None:
    seen = []

    class Spy(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            seen.append(images)
            return 2 * images

    images = torch.rand(2, 1, 321, 400)
    logits = predicted_logits(Spy(), images, "float32")
    assert torch.equal(logits, 2 * images)
    assert seen[0].shape == (2, 1, 352, 416)
    expected = np.pad(images.numpy(), [(0, 0), (0, 0), (0, 31), (0, 16)], mode="reflect")
    np.testing.assert_array_equal(seen[0].numpy(), expected)


def test_sgd_takes_the_steps_of_its_formula(batch: tuple[np.ndarray, np.ndarray]) -> None:
    changes = {"optimizer": "sgd", "momentum": 0.5, "weight_decay": 0.0, "schedule": "constant", "learning_rate": 0.1}
    learner = Learner(SETTINGS.model_copy(update=changes | {"gradient_clip": None}), READOUT)
    weight = learner.network.state_dict()["layers.0.weight"]
    before, moved = weight.clone(), torch.zeros_like(weight)
    for step in range(3):
        learner.step(step, *batch)
        gradient = learner.network.get_parameter("layers.0.weight").grad
        moved = 0.5 * moved + gradient
        before = before - 0.1 * moved
        torch.testing.assert_close(weight, before, atol=1e-6, rtol=0)  # float32 rounds in another order


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_every_optimizer_goes_on_exactly(batch: tuple[np.ndarray, np.ndarray], optimizer: str) -> None:
    settings = SETTINGS.model_copy(update={"optimizer": optimizer})
    one, other = Learner(settings, READOUT), Learner(settings, READOUT)
    for step in range(3):
        one.step(step, *batch)
    other.restore({name: value.clone() for name, value in one.tensors().items()})
    assert one.step(3, *batch) == other.step(3, *batch)
    assert all(torch.equal(value, other.tensors()[name]) for name, value in one.tensors().items())


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
