"""A field that takes files from the browser, and no more than it should."""

from typing import Any

import panel as pn

__all__ = ["LimitedDropper"]

_MOST_WAITING = 10  # files of the largest size that may be under way at a time


class LimitedDropper(pn.widgets.FileDropper):  # type: ignore[misc]  # Panel has no types
    """Takes files in pieces, and no more bytes than it should, whatever the browser was told."""

    def __init__(self, most_bytes: int, **params: Any) -> None:
        super().__init__(**params)
        self._most_bytes = most_bytes
        self.refused: list[str] = []

    def forget(self) -> None:
        """Drop what is under way."""
        self._file_buffer.clear()

    def _process_event(self, event: Any) -> None:
        data = event.data
        if event.event_name == "delete_event":
            super()._process_event(event)
            return
        name = data["name"]
        kept = sum(len(each) for each in self._file_buffer.get(name, [])) if data["chunk"] > 1 else 0
        waiting = sum(len(each) for pieces in self._file_buffer.values() for each in pieces)
        if kept + len(data["data"]) > self._most_bytes or waiting > _MOST_WAITING * self._most_bytes:
            self._file_buffer.pop(name, None)
            self.refused.append(name)
            self.param.trigger("value")
        elif data["chunk"] == 1 or name in self._file_buffer:  # not the rest of a file that was refused
            # as bytes always: Panel would decode a file that says it is text
            super()._process_event(type("Piece", (), {"data": {**data, "type": ""}, "event_name": event.event_name}))
