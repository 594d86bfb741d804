import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest, HTTPResponse
from tornado.websocket import websocket_connect

from nanolab.dashboard.access import is_local, new_token

TOKEN = "only-for-this-test"  # noqa: S105


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Return where a dashboard listens that more than this machine could reach."""
    command = [sys.executable, str(Path(__file__).parents[1] / "helpers" / "bright.py"), "0.0.0.0", TOKEN]  # noqa: S104
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    yield server.stdout.readline().strip().replace("0.0.0.0", "127.0.0.1").split("?")[0]  # noqa: S104
    server.terminate()
    assert server.wait(20) == 0
    server.stdout.close()


def get(url: str, cookie: str = "") -> HTTPResponse:
    request = HTTPRequest(url, headers={"Cookie": cookie} if cookie else {}, follow_redirects=False)

    async def fetch() -> HTTPResponse:
        return await AsyncHTTPClient(force_instance=True).fetch(request, raise_error=False)

    return asyncio.run(fetch())


async def connect(url: str, cookie: str = "") -> None:
    address = url.replace("http", "ws") + "ws"
    socket = await websocket_connect(HTTPRequest(address, headers={"Cookie": cookie} if cookie else {}))
    socket.close()


@pytest.mark.parametrize("path", ["", "ws", "static/js/bokeh.min.js", "autoload.js", "favicon.ico", "nowhere"])
@pytest.mark.parametrize("cookie", ["", "nanolab-token=wrong", "nanolab-token=", "nanolab-token=only"])
def test_nothing_is_to_be_had_without_the_token(url: str, path: str, cookie: str) -> None:
    assert get(url + path, cookie).code == 403


def test_a_wrong_token_is_refused_and_said(url: str) -> None:
    answer = get(f"{url}?token=wrong")
    assert answer.code == 403
    assert "wrong" in answer.body.decode()
    assert "Set-Cookie" not in answer.headers


def test_the_right_token_leaves_a_cookie_that_opens_everything(url: str) -> None:
    answer = get(f"{url}?token={TOKEN}")
    assert answer.code == 302
    assert TOKEN not in answer.headers["Location"]
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    mine = cookie.split(";")[0]
    for path in ("", "static/js/bokeh.min.js"):
        assert get(url + path, mine).code == 200


def test_the_web_socket_needs_the_token_too(url: str) -> None:
    with pytest.raises(HTTPClientError, match="403"):
        asyncio.run(connect(url))
    asyncio.run(connect(url, f"nanolab-token={TOKEN}"))


def test_what_is_local() -> None:
    assert all(map(is_local, ["localhost", "127.0.0.1", "::1"]))
    assert not any(map(is_local, ["0.0.0.0", "192.168.0.2", "", "localhost.example.org"]))  # noqa: S104
    assert len(new_token()) >= 32
    assert new_token() != new_token()
