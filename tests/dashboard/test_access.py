import asyncio
import importlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest, HTTPResponse
from tornado.websocket import websocket_connect

from nanolab.dashboard.access import is_local, new_token

TOKEN = "only-for-this-test"  # noqa: S105


@contextmanager
def served(*args: str) -> Iterator[str]:
    command = [sys.executable, str(Path(__file__).parents[1] / "helpers" / "bright.py"), *args]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip().replace("0.0.0.0", "127.0.0.1").split("?")[0]  # noqa: S104
        server.terminate()
        assert server.wait(20) == 0  # nothing that was asked for ended it


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Return where a dashboard listens that more than this machine could reach."""
    with served("0.0.0.0", TOKEN) as address:  # noqa: S104
        yield address


@pytest.fixture(scope="module")
def local_url() -> Iterator[str]:
    """Return where a dashboard listens for this machine alone, without a token."""
    with served() as address:
        yield address


def get(url: str, cookie: str = "", **headers: str) -> HTTPResponse:
    request = HTTPRequest(url, headers={"Cookie": cookie, **headers} if cookie else headers, follow_redirects=False)

    async def fetch() -> HTTPResponse:
        with closing(AsyncHTTPClient(force_instance=True)) as client:
            return await client.fetch(request, raise_error=False)

    return asyncio.run(fetch())


async def connect(url: str, cookie: str = "", **headers: str) -> None:
    address = url.replace("http", "ws") + "ws"
    try:
        socket = await websocket_connect(
            HTTPRequest(address, headers={"Cookie": cookie, **headers} if cookie else headers)
        )
        socket.close()
        await socket.read_message()  # until it is closed
    finally:
        await asyncio.sleep(0.1)  # the stream of a refused one closes at the loop's next turns


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


@pytest.mark.parametrize(
    "path",
    [
        "components/nanolab.__main__/x/__css__/y",
        "components/%6eanolab.__main__/x/__css__/y",
        "//components/this/x/__css__/y",
        "static/../components/this/x/__css__/y",
        "static/%2e%2e/%2e%2e/etc/passwd",
        "static/extensions/panel/..%2f..%2f..%2f__init__.py",
        "autoload.js?bokeh-autoload-element=x",
        "metadata",
        "admin",
        "liveness",
        "nowhere",
    ],
)
def test_only_what_the_page_needs_is_open(local_url: str, path: str) -> None:
    assert get(local_url + path).code == 404
    assert get(local_url).code == 200


def test_starting_the_package_as_a_module_needs_to_be_asked_for() -> None:
    assert importlib.import_module("nanolab.__main__").main  # and the tests go on


def test_the_token_leads_to_no_other_site(url: str) -> None:
    for path in ("/evil.example", "evil.example", "/evil.example/%2e%2e"):
        answer = get(f"{url}{path}?token={TOKEN}&x=1")
        assert (answer.code, answer.headers["Location"]) == (302, "/")


@pytest.mark.parametrize(
    "query", ["bokeh-absolute-url=https://evil.example/", "bokeh-app-path=//evil.example", "bokeh-session-id=known"]
)
def test_a_link_decides_nothing_about_the_page(url: str, local_url: str, query: str) -> None:
    """Bokeh would take scripts from that site, or share the session with whoever made the link."""
    for address, cookie in ((local_url, ""), (url, f"nanolab-token={TOKEN}")):
        answer = get(f"{address}?{query}", cookie)
        assert (answer.code, answer.headers["Location"]) == (302, "/")
        assert get(f"{address}?{query}", cookie, Origin="http://evil.example").code == 403


def test_the_browser_is_told_to_hold_the_page_together(url: str) -> None:
    cookie = f"nanolab-token={TOKEN}"
    for answer in (get(url), get(url, cookie), get(url + "static/js/bokeh.min.js", cookie), get(url + "no", cookie)):
        policy = answer.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in policy
        assert "default-src 'self'" in policy
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "evil" not in get(url, Host="x;evil").headers["Content-Security-Policy"]


def test_another_sites_page_gets_no_web_socket(url: str, local_url: str) -> None:
    cookie = f"nanolab-token={TOKEN}"
    for address, mine in ((url, cookie), (local_url, "")):
        here = address.rstrip("/")
        # another port of this machine is another page too, and a browser sends the cookie along with it
        for origin in ("http://evil.example", "http://127.0.0.1:1", "null"):
            assert get(f"{address}ws", mine, Origin=origin).code == 403
        asyncio.run(connect(address, mine, Origin=here))


def test_without_a_token_a_name_from_elsewhere_is_refused(local_url: str) -> None:
    assert get(local_url, Host="evil.example:5006").code == 403
    assert get(local_url, Host="127.0.0.1:5006").code == 200
    assert get(local_url, Host="[::1]:5006").code == 200


def test_what_is_local() -> None:
    assert all(map(is_local, ["localhost", "127.0.0.1", "::1"]))
    assert not any(map(is_local, ["0.0.0.0", "192.168.0.2", "", "localhost.example.org"]))  # noqa: S104
    assert len(new_token()) >= 32
    assert new_token() != new_token()
