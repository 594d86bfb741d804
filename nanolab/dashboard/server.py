"""The dashboard as a server, and inside a notebook."""

import logging
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import panel as pn
from tornado.ioloop import IOLoop

from nanolab.core.checks import InputError
from nanolab.dashboard.access import guarded, is_local, new_token
from nanolab.dashboard.page import MOST_UPLOAD_MB, Page
from nanolab.dashboard.session import Models
from nanolab.dashboard.workbench import Workbench

__all__ = ["Dashboard", "open_dashboard", "serve_dashboard"]

_MESSAGE_BYTES = 20_000_000  # pieces of a file are smaller
_AWAY_MS = 60_000  # a visitor whose connection is gone may come back before the folder goes


@dataclass(frozen=True)
class Dashboard:
    """A dashboard that is running.

    Attributes
    ----------
    url
        What to open in a browser, with the token where there is one.
    """

    url: str
    _server: Any
    _thread: threading.Thread | None = None

    def stop(self) -> None:
        """End it; what visitors had on disk goes."""
        loop = self._server.io_loop
        loop.add_callback(self._server.stop)
        if self._thread is not None:
            loop.add_callback(loop.stop)
            self._thread.join()

    def _repr_html_(self) -> str:
        return (
            f'<p><a href="{self.url}" target="_blank">Open in a tab of its own</a></p>'
            f'<iframe src="{self.url}" style="width: 100%; height: 820px; border: 0" title="nanolab"></iframe>'
        )


def serve_dashboard(
    models: Models,
    *,
    host: str = "localhost",
    port: int = 5006,
    token: str | None = None,
    upload_mb: float = MOST_UPLOAD_MB,
    ready: Callable[[str], object] = print,
) -> None:
    """Serve the dashboard until it is interrupted.

    Parameters
    ----------
    models
        The networks to choose from.
    host, port
        Where it listens; port 0 takes a free one.
    token
        What a visitor must know; made anew where it listens beyond this machine and none is given.
    upload_mb
        Largest file that is taken, in MB.
    ready
        Called with the address once there is something to see.

    Raises
    ------
    InputError
        If the port is taken.
    """
    server, url = _make(models, None, host, port, token, upload_mb)
    signal.signal(signal.SIGTERM, lambda *_: server.io_loop.add_callback_from_signal(server.io_loop.stop))
    ready(url)
    server.start()
    try:
        server.io_loop.start()
    finally:
        server.stop()


def open_dashboard(models: Models, bench: Workbench, *, upload_mb: float = MOST_UPLOAD_MB) -> Dashboard:
    """Serve the dashboard of one workbench next to a notebook, which then shows it; corrections are in the workbench.

    It listens on this machine alone.
    """
    made: list[tuple[Any, str]] = []
    started = threading.Event()

    def run() -> None:
        loop = IOLoop()
        loop.make_current()
        made.append(_make(models, bench, "localhost", 0, None, upload_mb))
        made[0][0].start()
        started.set()
        loop.start()

    thread = threading.Thread(target=run, daemon=True, name="nanolab-dashboard")
    thread.start()
    started.wait()
    server, url = made[0]
    return Dashboard(url, server, thread)


def _make(
    models: Models, bench: Workbench | None, host: str, port: int, token: str | None, upload_mb: float
) -> tuple[Any, str]:
    """Return a server that has not begun, and its address."""
    if token is None and not is_local(host):
        token = new_token()

    def visit() -> Any:
        page = Page(models, bench, upload_mb=upload_mb)
        pn.state.on_session_destroyed(lambda context: page.close())
        return page.view

    logging.getLogger("bokeh.server.util").setLevel(logging.ERROR)  # warns of the "*" below
    try:
        server = pn.io.server.get_server(
            {"/": visit},
            port=port,
            address=host,
            title="nanolab",
            location=False,  # the page has no use for it, and Panel cannot read the address of IPv6
            start=False,
            websocket_origin="*",  # the guard lets through what comes from the page itself
            websocket_max_message_size=_MESSAGE_BYTES,
            unused_session_lifetime_milliseconds=_AWAY_MS,
            check_unused_sessions_milliseconds=5000,
        )
    except OSError as error:
        raise InputError(f"{host}:{port}: cannot listen there ({error.strerror}); choose another --port") from error
    # Tornado's server asks the guard first, and the guard Bokeh's application
    server._http.request_callback = guarded(server._tornado, token, framed=bench is not None)
    url = f"http://{f'[{host}]' if ':' in host else host}:{server.port}/"
    return server, url + (f"?token={token}" if token else "")
