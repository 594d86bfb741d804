"""What stands in the place of a widget where none can run, as in a notebook shown on a web page."""

from typing import Any

from nanolab.core.extras import optional
from nanolab.figures.panels import stand_in_sign

with optional():
    import anywidget
    import traitlets

__all__ = ["StillWidget"]


class StillWidget(anywidget.AnyWidget):
    """A widget with a picture that stands in its place, `still` as PNG, and a banner over what is not real."""

    still: bytes
    banner = traitlets.Unicode().tag(sync=True)

    def __init__(self, **state: Any) -> None:
        super().__init__(banner=stand_in_sign(), **state)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        data, metadata = super()._repr_mimebundle_(**options)  # type: ignore[misc]  # None only before it has a view
        return {**data, "image/png": self.still}, metadata
