"""A real browser, and what it looks at: the dashboard, and JupyterLab with a kernel."""

import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_PATIENCE_S = 90  # for a server to come up on a busy machine


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("browser")


@pytest.fixture(scope="module")  # no longer: Playwright keeps an event loop running, in the way of others' asyncio.run
def browser() -> Iterator[object]:
    """The system's Chromium, without a window."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        why = "needs Chromium: apt install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # no sandbox, as tests may run as root; nothing but our own pages is opened
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser: object) -> Iterator[object]:
    """A page of 1280 x 800; an error in its console fails the test, and so does a request to another machine."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    one = context.new_page()
    one.set_default_timeout(60_000)
    wrong: list[str] = []
    one.on("console", lambda message: message.type == "error" and wrong.append(message.text))
    one.on("pageerror", lambda error: wrong.append(str(error)))
    one.on("request", lambda request: _is_ours(request.url) or wrong.append(f"outside: {request.url}"))
    one.wrong = wrong
    yield one
    context.close()
    assert wrong == []


def _is_ours(url: str) -> bool:
    return url.startswith(("http://localhost:", "http://127.0.0.1:", "data:", "blob:", "about:"))


@dataclass
class Server:
    """A server that runs: what to open, and where it keeps its files."""

    url: str
    folder: Path


@pytest.fixture(scope="session")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A dashboard whose particles are what is bright, see `bright.py`."""
    folder = tmp_path_factory.mktemp("visitors")
    command = [sys.executable, str(Path(__file__).parents[1] / "helpers" / "bright.py")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(folder)}
    ) as server:
        assert server.stdout is not None
        yield Server(server.stdout.readline().strip(), folder)
        server.terminate()
        assert server.wait(30) == 0
    assert list(folder.glob("nanolab-*")) == []  # visitors leave nothing


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """JupyterLab with an empty folder, on a free port, with a token."""
    folder, token = tmp_path_factory.mktemp("lab"), secrets.token_hex(16)
    settings = {f"JUPYTER_{each}_DIR": str(folder / ".jupyter" / each.lower()) for each in ("CONFIG", "RUNTIME")}
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        "--allow-root",
        "--expose-app-in-browser",
        "--ServerApp.ip=localhost",
    ]
    options = [f"--ServerApp.root_dir={folder}", f"--IdentityProvider.token={token}", "--ServerApp.port=0"]
    quiet = [
        "--expose-app-in-browser",
        "--LabApp.news_url=",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    quiet_settings = folder / ".jupyter/settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings"
    quiet_settings.parent.mkdir(parents=True)
    quiet_settings.write_text('{"fetchNews": "false"}')
    log = (folder / ".log").open("w")
    environment = {**os.environ, **settings, "JUPYTERLAB_SETTINGS_DIR": str(folder / ".jupyter" / "settings")}
    server = subprocess.Popen([*command, *options, *quiet], stdout=log, stderr=log, env=environment)
    try:
        yield Server(f"{_address(server, folder)}lab?token={token}", folder)
    finally:
        server.terminate()
        server.wait(30)
        log.close()


def _address(server: subprocess.Popen[bytes], folder: Path) -> str:
    """Return where the server listens, once it answers."""
    from nanolab.core.files import read_json

    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end and server.poll() is None:
        for path in (folder / ".jupyter" / "runtime").glob("jpserver-*.json"):
            url = read_json(path)["url"]
            try:
                with urlopen(f"{url}api", timeout=5):  # noqa: S310  # the address is our own server's
                    return str(url)
            except URLError:
                continue
        time.sleep(0.3)
    pytest.fail(f"JupyterLab did not start:\n{(folder / '.log').read_text()[-2000:]}")
