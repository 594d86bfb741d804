"""A report as one HTML file that needs nothing else: a page to read, and the tables behind it."""

import base64
import html
from collections.abc import Mapping, Sequence
from io import BytesIO

import pandas as pd
from matplotlib.figure import Figure

__all__ = ["html_report"]

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } summary { font-weight: 600; cursor: pointer; padding: .4rem 0; }
img { max-width: 100%; height: auto; } .result { font-size: 1.3rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .85rem; }
td, th { border-bottom: 1px solid #ccc; padding: .25rem .6rem; text-align: left; vertical-align: top; }
@media print { details { display: none; } }
"""


def html_report(
    title: str,
    results: Sequence[str],
    notes: Sequence[str],
    figures: Sequence[Figure],
    tables: Mapping[str, pd.DataFrame],
) -> str:
    """Return a page with results in large print, the first figure and notes; further figures and tables fold out.

    All text is escaped: names of files and samples are anybody's.
    """
    pictures = [_picture(each) for each in figures]
    large = "".join(f'<p class="result">{html.escape(each)}</p>' for each in results)
    listed = "".join(f"<li>{html.escape(each)}</li>" for each in notes)
    behind = [_folded("images", "".join(pictures[1:]))] if pictures[1:] else []
    behind += [_folded(name, _table(table)) for name, table in tables.items()]
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><h1>{html.escape(title)}</h1>{large}"
        f"<ul>{listed}</ul>{''.join(pictures[:1])}{''.join(behind)}</body></html>\n"
    )


def _picture(figure: Figure) -> str:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return f'<img alt="figure" src="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode("ascii")}">'


def _folded(name: str, content: str) -> str:
    return f'<details><summary>{html.escape(name)}</summary><div class="wide">{content}</div></details>'


def _table(table: pd.DataFrame) -> str:
    return str(table.to_html(index=False, escape=True, border=0, na_rep="", float_format=lambda value: f"{value:.4g}"))
