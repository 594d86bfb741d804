"""The report as one HTML file."""

from html.parser import HTMLParser
from pathlib import Path

from helpers.grid_discs import discs

from nanolab.images.pixel_size import PixelSize
from nanolab.reports.sizes import measure_image, size_report


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_holds_everything_and_asks_for_nothing_else(tmp_path: Path) -> None:
    images = [measure_image(f"i{k}", discs(k), pixel_size=PixelSize.typed(2.0)) for k in range(3)]
    report = size_report(images, tmp_path, title="<script>alert(1)</script> & co")
    page = _Page()
    page.feed((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "script" not in page.tags
    assert "<script>alert(1)</script> & co" in page.text
    assert page.tags.count("img") == 3  # numbers, how well D50 is known, and one page of images
    assert page.tags.count("details") == 4  # images, statistics, fits, about
    assert all(each.startswith("data:image/png;base64,") for each in page.sources)
    number = report.statistics["number"]
    assert f"Median ECD {number['d50']:.4g} nm ({number['intervals']['d50'][0]:.4g} to" in page.text
    assert all(note in page.text for note in report.notes)
