"""What decides a network and what its channels mean; a checkpoint holds these keys among those of its training."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from nanolab.core.checks import InputError
from nanolab.core.validation import explained
from nanolab.models.normalisation import PERCENTILES
from nanolab.models.readouts.base import READOUTS
from nanolab.models.registry import NETWORKS

__all__ = ["NetworkSettings"]


def _one_of(registry: Mapping[str, str]) -> AfterValidator:
    def check(name: str) -> str:
        if name not in registry:
            raise ValueError(f"must be one of {', '.join(registry)}")
        return name

    return AfterValidator(check)


Percent = Annotated[float, Field(ge=0, le=100)]


def _rising(stretch: tuple[float, float]) -> tuple[float, float]:
    if stretch[0] >= stretch[1]:
        raise ValueError("the lower percentile must come first")
    return stretch


class NetworkSettings(BaseModel):
    """A network and its read-out.

    Attributes
    ----------
    network, network_options
        One of `nanolab.models.registry.NETWORKS`, and its parameters.
    readout, readout_options
        One of `nanolab.models.readouts.base.READOUTS`, and its parameters.
    clahe
        Even out the local contrast of every image (`nanolab.models.normalisation`), in training and in segmentation.
    stretch
        These percentiles of an image become 0 and 1; [0, 100] its least and largest grey value, as in the papers.

    Raises
    ------
    InputError
        If a key is unknown or a value out of its range; the message names each.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    what: ClassVar[str] = "network settings"  # what errors call them

    network: Annotated[str, _one_of(NETWORKS)] = "unet"
    network_options: dict[str, Any] = {}
    readout: Annotated[str, _one_of(READOUTS)] = "interior+border"
    readout_options: dict[str, Any] = {}
    clahe: bool = False
    stretch: Annotated[tuple[Percent, Percent], AfterValidator(_rising)] = PERCENTILES

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InputError(f"{self.what}:\n{explained(error, type(self))}") from error

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "NetworkSettings":
        """Return those of a training's settings that decide the network."""
        return cls(**{key: value for key, value in values.items() if key in NetworkSettings.model_fields})
