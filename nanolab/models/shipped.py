"""The network that ships: trained on rendered images alone, for those who have none of their own."""

from pathlib import Path

import nanolab
from nanolab.core.checks import InputError

__all__ = ["shipped_model"]

_FILE = "particles.safetensors"


def shipped_model() -> Path:
    """Return the checkpoint that `nanolab.segmentation.segmenter.Segmenter` takes where no training is named.

    Its card is `data/models/README.md`: how it was made, on what it was tested, where it fails.

    Raises
    ------
    InputError
        If the installation lacks the file.
    """
    package = Path(nanolab.__file__).parent
    places = [folder / _FILE for folder in (package / "_models", package.parent / "data" / "models")]
    there = next((path for path in places if path.is_file()), None)
    if there is None:
        raise InputError(f"{places[0]}: the network that ships is missing; install nanolab again, or name a training")
    return there
