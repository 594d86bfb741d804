"""Everything that decides a training but its data."""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from nanolab.core.processes import MOST_WORKERS
from nanolab.models.registry import SIZE_MULTIPLE_PX
from nanolab.models.settings import NetworkSettings
from nanolab.training.keep import Keep

__all__ = ["AugmentationSettings", "TrainingSettings"]

Amount = Annotated[float, Field(ge=0, le=1)]
Magnification = Annotated[float, Field(ge=0.1, le=10)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]


def _keepable(text: str) -> str:
    Keep.parse(text)
    return text


def _ordered(scale: tuple[float, float]) -> tuple[float, float]:
    if scale[0] > scale[1]:
        raise ValueError("the smallest magnification must come first")
    return scale


class AugmentationSettings(BaseModel):
    """How patches are varied; a number is the largest change, and 0 turns its kind off.

    Attributes
    ----------
    flip
        Mirror and turn by quarter turns.
    rotate
        Turn by any angle.
    scale
        Smallest and largest magnification.
    shear
        Largest tangent of the angle by which the axes are tilted.
    gamma
        Grey values to the power exp(u), u uniform within +-`gamma`.
    contrast
        Distance from mid-grey times exp(u), u uniform within +-`contrast`.
    brightness
        Grey values plus u, u uniform within +-`brightness`; the full range is 1.
    illumination
        Amplitude of a smooth field that is added.
    blur_px
        Standard deviation of the Gaussian blur that half of the patches get.
    noise
        Standard deviation of the Gaussian noise that half of the patches get.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    flip: bool = True
    rotate: bool = True
    scale: Annotated[tuple[Magnification, Magnification], AfterValidator(_ordered)] = (0.7, 1.4)
    shear: Amount = 0.0
    gamma: Amount = 0.3
    contrast: Amount = 0.3
    brightness: Amount = 0.1
    illumination: Amount = 0.1
    blur_px: Annotated[float, Field(ge=0, le=10)] = 1.5
    noise: Amount = 0.06


class TrainingSettings(NetworkSettings):
    """What is trained, how long and how; the keys of the network are those of `NetworkSettings`.

    Attributes
    ----------
    epochs, steps_per_epoch
        After each epoch of so many steps there is a checkpoint.
    batch_size, patch_px
        Patches a step, of all processes together, and their side. Any side will do: where the network needs a multiple
        of 32, a patch is mirrored at its edges for it, and what it predicts there is not looked at.
    particle_share
        This share of the patches is laid around a particle, where the image has any; the others lie anywhere.
    erode_px
        By how many pixels the label of each particle is made smaller before it is learned from, so that ground parts
        those that touch (Mill et al. 2021). What is found is smaller by as much.
    loss
        `readout`, that of the read-out; or for the read-out foreground `bce`, cross entropy, `dice`, or `class dice`,
        the mean of the Dice losses of particle and of background, as PaddleSeg has it.
    optimizer, momentum
        `adamw`, `adam`, or `sgd` with that momentum.
    learning_rate, schedule
        The highest learning rate, and its course: `one-cycle` rises for the first fifth and then falls as a cosine to
        0, `cosine` falls from the start, `polynomial` as the power 0.9 of the steps left, `constant` stays, `plateau`
        is halved after 40 epochs without a lower validation loss (training loss, if no annotated image is watched).
    weight_decay
        Of the optimizer.
    gradient_clip
        Largest norm of the gradient; None lets it be.
    ema_decay
        Weights are averaged over about 1 / (1 - `ema_decay`) steps; the average is what predicts. 0 takes the last.
    start_from, anchor
        A training, its folder, a checkpoint's file, or `shipped`: from whose weights to start, with a new optimizer;
        drawn at random if None. After each step, weights are drawn back to these by `anchor` times the learning rate,
        so that what they know is not forgotten (Li et al., 10.48550/arXiv.1802.01483).
    blend
        How far what predicts lies from the weights of `start_from` to those learned; below 1 more of what was known
        stays (Wortsman et al., 10.1109/CVPR52688.2022.00780).
    augmentation
        How patches are varied.
    keep
        Of which epochs the weights stay on disk: `all`, `every 10` (and the last), or `best 3 by dice`, by any score in
        the log. What every epoch predicts for the validation image is always kept.
    seed
        Decides the first weights and every patch.
    device, precision, threads
        Where and how it is computed. `auto` and None are resolved when the training starts, and then recorded.

    Raises
    ------
    InputError
        If a key is unknown or a value out of its range; the message names each.

    Examples
    --------
    >>> settings = TrainingSettings(epochs=4, augmentation={"noise": 0})
    >>> settings.steps, settings.augmentation.noise, settings.augmentation.blur_px
    (400, 0.0, 1.5)
    """

    what: ClassVar[str] = "training settings"

    epochs: Count = 16
    steps_per_epoch: Count = 100
    batch_size: Annotated[int, Field(ge=1, le=4096)] = 8
    patch_px: Annotated[int, Field(ge=SIZE_MULTIPLE_PX, le=8192)] = 256
    particle_share: Amount = 0.8
    erode_px: Annotated[int, Field(ge=0, le=20)] = 0
    loss: Literal["readout", "bce", "dice", "class dice"] = "readout"
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 2e-3
    schedule: Literal["one-cycle", "cosine", "polynomial", "plateau", "constant"] = "one-cycle"
    weight_decay: Annotated[float, Field(ge=0, lt=1)] = 1e-4
    gradient_clip: Annotated[float, Field(gt=0, le=1e9)] | None = 1.0
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.99
    start_from: str | None = None
    anchor: Annotated[float, Field(ge=0, le=1)] = 0.0
    blend: Annotated[float, Field(gt=0, le=1)] = 1.0
    augmentation: AugmentationSettings = AugmentationSettings()
    keep: Annotated[str, AfterValidator(_keepable)] = "all"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    threads: Annotated[int, Field(ge=1, le=MOST_WORKERS)] | None = None

    @model_validator(mode="after")
    def _loss_fits(self) -> "TrainingSettings":
        if self.loss != "readout" and self.readout != "foreground":
            raise ValueError(f"loss {self.loss} is for the read-out foreground; use loss readout for {self.readout}")
        return self

    @model_validator(mode="after")
    def _anchored_to_something(self) -> "TrainingSettings":
        if (self.anchor or self.blend < 1) and self.start_from is None:
            raise ValueError("anchor and blend keep weights near those of start_from; name one, or leave them out")
        return self

    @property
    def steps(self) -> int:
        """Steps of the whole training."""
        return self.epochs * self.steps_per_epoch
