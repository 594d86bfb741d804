"""Published weights: fetched by name, and only what their name says they are."""

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from nanolab.core.checks import InputError
from nanolab.models.networks.pretrained import PUBLISHED, get_weights, published_weights


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Serve a folder of this machine."""
    (tmp_path / "served").mkdir()
    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path / "served"))
    threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{http.server_address[1]}"
    http.shutdown()
    http.server_close()


@pytest.fixture
def published(tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of weights on that server, named as published ones are, and the torch cache elsewhere."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    torch.save({"weight": torch.arange(9.0)}, tmp_path / "weights")
    content = (tmp_path / "weights").read_bytes()
    path = tmp_path / "served" / f"small-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    path.write_bytes(content)
    monkeypatch.setitem(PUBLISHED, "vgg16", f"{server}/{path.name}")
    return path


def test_weights_are_fetched_when_asked_for_and_found_from_then_on(published: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="are not in the torch cache; run `nanolab data weights vgg16`"):
        published_weights("vgg16")
    fetched = get_weights("vgg16", progress=False)
    assert fetched == tmp_path / "torch" / "hub" / "checkpoints" / published.name == published_weights("vgg16")
    assert fetched.read_bytes() == published.read_bytes()
    published.unlink()
    assert get_weights("vgg16", progress=False) == fetched  # nothing is asked of the server any more


def test_a_file_that_is_not_what_its_name_says_is_refused_and_nothing_is_left(published: Path, tmp_path: Path) -> None:
    published.write_bytes(published.read_bytes()[:-1] + b"!")
    with pytest.raises(InputError, match=rf"{published.name}: cannot be downloaded \(invalid hash value"):
        get_weights("vgg16", progress=False)
    published.unlink()
    with pytest.raises(InputError, match=r"cannot be downloaded \(HTTP Error 404"):
        get_weights("vgg16", progress=False)
    assert not [path for path in (tmp_path / "torch").rglob("*") if path.is_file()]


def test_every_published_name_ends_in_the_beginning_of_its_hash() -> None:
    for address in PUBLISHED.values():
        digest = address.rpartition("-")[2].removesuffix(".pth")
        assert len(digest) >= 8
        assert int(digest, 16)
    with pytest.raises(InputError, match="weights: must be one of vgg16, convnext-base, xception, got 'resnet'"):
        get_weights("resnet")
