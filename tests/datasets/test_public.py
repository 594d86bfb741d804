import hashlib
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest

from nanolab.core.checks import InputError
from nanolab.datasets.public import PUBLIC, PublicData, get, image_classes, locate, public_images, status
from nanolab.images.labels import read_labels
from nanolab.metrics.pixel import pixel_scores

FILES = {
    "LICENSE": b"be kind",
    "some images/1.tif": b"first image " * 1000,
    "some images/2.tif": b"second image " * 1000,
    "masks/1_m.tif": b"first mask",
    "masks/2_m.tif": b"second mask",
    "classes.csv": b"1,cube",
}


class Server:
    """A server on this machine that can be told to misbehave, and remembers what it was asked for."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = dict(files)
        self.asked: list[str] = []
        self.breaks_at: str | None = None
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/at/commit/"
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = unquote(self.path).removeprefix("/at/commit/")
                server.asked.append(path)
                if path not in server.files:
                    self.send_error(404)
                    return
                content = server.files[path]
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2] if path == server.breaks_at else content)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server({path: content for path, content in FILES.items() if path != "classes.csv"})
    yield server
    server.close()


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> PublicData:
    """A public set of five files upstream and one of the project's own."""
    data = PublicData(
        name="toy",
        title="",
        licence="",
        asks="",
        citation="",
        urls=("http://127.0.0.1:9/",),  # the discard port: nobody listens
        image="some images/{}.tif",
        mask="masks/{}_m.tif",
        registry={path: hashlib.sha256(content).hexdigest() for path, content in FILES.items()},
        read=lambda data, folder, name: (_ for _ in ()).throw(AssertionError(f"{data} {folder} {name} was read")),
        not_upstream=frozenset({"classes.csv"}),
    )
    monkeypatch.setitem(PUBLIC, "toy", data)
    return data


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


UPSTREAM = {path: content for path, content in FILES.items() if path != "classes.csv"}


def test_a_download_brings_every_file_and_a_second_one_asks_for_none(tmp_path: Path, server: Server) -> None:
    folder = get("toy", root=tmp_path, urls=[server.url])
    assert folder == tmp_path / "toy"
    assert contents(folder) == UPSTREAM
    assert sorted(server.asked) == sorted(UPSTREAM)
    get("toy", root=tmp_path, urls=[server.url])
    assert len(server.asked) == len(UPSTREAM)


def test_a_file_that_is_not_the_published_one_is_refused_and_not_kept(tmp_path: Path, server: Server) -> None:
    server.files["masks/1_m.tif"] = b"tampered"
    with pytest.raises(InputError, match=r"masks/1_m\.tif: cannot be downloaded .*not match the known hash.*--from"):
        get("toy", root=tmp_path, urls=[server.url])
    kept = contents(tmp_path / "toy")
    assert "masks/1_m.tif" not in kept
    assert kept.items() <= UPSTREAM.items()  # and nothing half-written next to them


def test_a_changed_file_on_disk_is_fetched_again(tmp_path: Path, server: Server) -> None:
    folder = get("toy", root=tmp_path, urls=[server.url])
    (folder / "masks" / "2_m.tif").write_bytes(b"changed")
    get("toy", root=tmp_path, urls=[server.url])
    assert contents(folder) == UPSTREAM
    assert server.asked[-1] == "masks/2_m.tif"
    assert len(server.asked) == len(UPSTREAM) + 1


def test_an_interrupted_download_goes_on_where_it_stopped(tmp_path: Path, server: Server) -> None:
    server.breaks_at = "some images/2.tif"
    with pytest.raises(InputError, match=r"some images/2\.tif: cannot be downloaded"):
        get("toy", root=tmp_path, urls=[server.url])
    there = contents(tmp_path / "toy")
    assert "some images/2.tif" not in there
    assert there.items() <= UPSTREAM.items()
    server.breaks_at, server.asked = None, []
    assert contents(get("toy", root=tmp_path, urls=[server.url])) == UPSTREAM
    assert sorted(server.asked) == sorted(UPSTREAM.keys() - there.keys())


def test_without_a_server_the_error_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"LICENSE: cannot be downloaded \(http://127.0.0.1:9/LICENSE: .*refused.*--from"
    ):
        get("toy", root=tmp_path)
    assert contents(tmp_path) == {}


def test_a_file_is_taken_from_the_first_address_that_has_it(tmp_path: Path, server: Server) -> None:
    other = Server({"masks/1_m.tif": server.files.pop("masks/1_m.tif")})
    folder = get("toy", root=tmp_path, urls=[server.url, other.url])
    other.close()
    assert contents(folder) == UPSTREAM
    assert other.asked == ["masks/1_m.tif"]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for path, content in {**FILES, "README": b"not part of the set"}.items():
        (tmp_path / "copy" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "copy" / path).write_bytes(content)
    return tmp_path / "copy"


def test_a_local_copy_is_imported_with_what_no_server_has(tmp_path: Path, copy: Path) -> None:
    folder = get("toy", source=copy, root=tmp_path / "raw")
    shutil.rmtree(copy)
    assert contents(folder) == FILES


def test_a_plain_clone_lacks_only_what_no_server_has(tmp_path: Path, copy: Path) -> None:
    (copy / "classes.csv").unlink()
    assert contents(get("toy", source=copy, root=tmp_path / "raw")) == UPSTREAM


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (Path.unlink, "not found; the copy must have the layout of toy"),
        (lambda path: path.write_bytes(b"?"), "SHA-256"),
    ],
)
def test_a_wrong_copy_is_refused_by_file(
    tmp_path: Path, copy: Path, harm: Callable[[Path], object], message: str
) -> None:
    harm(copy / "some images" / "2.tif")
    with pytest.raises(InputError, match=rf"some images/2\.tif: .*{message}"):
        get("toy", source=copy, root=tmp_path / "raw")
    assert contents(tmp_path / "raw").keys() <= {f"toy/{path}" for path in FILES.keys() - {"some images/2.tif"}}


def test_the_variable_goes_before_the_downloads(tmp_path: Path, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NANOLAB_DATA", raising=False)
    assert locate("toy") is None
    with pytest.raises(InputError, match="toy: not on this machine; run `nanolab data get toy`"):
        public_images("toy")
    get("toy", source=copy)
    assert locate("toy") == Path("data/raw/toy")
    monkeypatch.setenv("NANOLAB_DATA", str(tmp_path / "mine"))
    assert locate("toy") == Path("data/raw/toy")
    copy.rename(tmp_path / "toy")
    monkeypatch.setenv("NANOLAB_DATA", str(tmp_path))
    assert locate("toy") == tmp_path / "toy"


def test_samples_are_read_only_when_asked_for(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy.rename(copy.parent / "toy")
    monkeypatch.setenv("NANOLAB_DATA", str(copy.parent))
    some = public_images("toy")
    assert some.names == ("1", "2")
    with pytest.raises(AssertionError, match="2 was read"):
        some[1]


def test_an_incomplete_set_is_said_to_be_so(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (copy / "masks" / "2_m.tif").unlink()
    copy.rename(copy.parent / "toy")
    monkeypatch.setenv("NANOLAB_DATA", str(copy.parent))
    with pytest.raises(
        InputError, match=r"1 of 5 files are missing, the first is masks/2_m\.tif; run `nanolab data get"
    ):
        locate("toy")
    row = next(row for row in status() if row["name"] == "toy")
    assert (row["folder"], row["n_images"]) == (str(copy.parent / "toy"), 2)


def test_an_unknown_set_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="tio2: no such public set; choose from bam-tio2, emps"):
        get("tio2")


@pytest.mark.parametrize(("name", "images", "others"), [("bam-tio2", 20, 1), ("emps", 366, 3)])
def test_the_registry_has_each_image_with_its_mask(name: str, images: int, others: int) -> None:
    data = PUBLIC[name]
    assert len(data.images) == images
    assert {data.mask.format(each) for each in data.images} <= data.registry.keys()
    assert len(data.registry) == 2 * images + others
    assert all(len(digest) == 64 for digest in data.registry.values())
    assert all(url.startswith("https://") for url in data.urls)


def test_the_real_files_come_through_a_real_download(bam_folder: Path, tmp_path: Path) -> None:
    data = PUBLIC["bam-tio2"]
    server = Server({path: (bam_folder / path).read_bytes() for path in data.upstream})
    folder = get("bam-tio2", root=tmp_path, urls=[server.url])
    server.close()
    assert contents(folder).keys() == set(data.registry)
    assert next(row for row in status() if row["name"] == "bam-tio2")["licence"] == "CC BY-NC-ND 4.0"


def test_tio2_samples_lack_the_data_bar_and_keep_the_annotated_pixels(bam_folder: Path) -> None:
    tio2 = public_images("bam-tio2")
    assert len(tio2) == 20
    for sample in tio2:
        assert sample.labels is not None
        assert sample.image.shape == sample.labels.shape == (704, 1024)
        assert (sample.image.dtype, sample.labels.dtype) == (np.float32, np.int32)
        assert (sample.pixel_size.nm, sample.pixel_size.source) == (pytest.approx(7.34375, rel=1e-6), "metadata")
        assert sample.image[-1].mean() > 0.01  # the data bar's first rows have a mean below 0.001
        mask = read_labels(next(bam_folder.rglob(f"{sample.name}_m.tif")))[:704]
        assert pixel_scores(mask, sample.labels).accuracy == 1


def test_the_smallest_tio2_particles_are_a_tenth_in_number_and_a_thousandth_in_area(bam_folder: Path) -> None:
    areas = np.concatenate([np.bincount(sample.labels.ravel())[1:] for sample in public_images("bam-tio2")])
    small = areas[areas < PUBLIC["bam-tio2"].min_area_px]
    # As the description of the set says.
    assert len(small) / len(areas) == pytest.approx(0.115, abs=0.0005)
    assert small.sum() / areas.sum() == pytest.approx(0.001, abs=0.0005)


def test_emps_samples_have_unknown_scales_and_labels_without_gaps(emps_folder: Path) -> None:
    emps = public_images("emps")
    assert len(emps) == 366
    for sample in emps[:3]:
        assert sample.labels is not None
        assert sample.image.shape == sample.labels.shape
        assert sample.pixel_size.nm is None
        assert np.unique(sample.labels).tolist() == list(range(sample.labels.max() + 1))


def test_image_classes_say_what_each_image_of_emps_shows(emps_folder: Path) -> None:
    table = image_classes()
    assert set(table.index) == set(public_images("emps").names)
    assert table["usable"].sum() == 365
    assert dict(table["shape"].value_counts()) == {"sphere": 197, "other": 108, "rod": 39, "cube": 22}
    assert dict(table["modality"].value_counts()) == {"tem": 187, "sem": 173, "stem-df": 6}


def test_image_classes_without_the_table_say_where_it_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nanolab.datasets.public.locate", lambda name: tmp_path)
    with pytest.raises(InputError, match=r"labels.csv: .*local copy"):
        image_classes()
