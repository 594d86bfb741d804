"""A realism report in one call: a page of figures and the numbers behind it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nanolab.core.files import output_folder
from nanolab.core.results import save_figure, save_results
from nanolab.core.tables import write_csv
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.figures.panels import save_pdf, stand_in_sign
from nanolab.figures.realism import plot_realism
from nanolab.realism.comparison import RealismComparison, compare_sets
from nanolab.realism.descriptors import DESCRIPTORS
from nanolab.realism.scores import MEASURES

__all__ = ["patch_table", "realism_report", "score_table", "summary", "write_report"]

_NAMED = 5  # properties in a summary


def realism_report(
    real: Sequence[AnnotatedImage],
    synthetic: Sequence[AnnotatedImage],
    out: Path | str,
    *,
    preset: str = "default",
    seed: int,
    max_patches: int | None = None,
    weights: Path | str | None = None,
    progress: bool = True,
    sources: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Compare synthetic with real micrographs and write the report into a folder.

    Parameters
    ----------
    real, synthetic
        For example of `nanolab.datasets.opening.open_images`.
    out
        The folder; see `write_report` for what comes into it.
    preset, seed, max_patches, weights
        See `nanolab.realism.comparison.compare_sets`.
    sources
        Where the sets are from, for the record.

    Returns
    -------
    results
        What `results.json` holds.

    Raises
    ------
    InputError
        If the sets cannot be compared or the folder cannot be written.
    """
    output_folder(out)
    comparison = compare_sets(
        real, synthetic, preset=preset, seed=seed, max_patches=max_patches, weights=weights, progress=progress
    )
    return write_report(comparison, out, sources=sources)


def write_report(
    comparison: RealismComparison, out: Path | str, *, sources: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Write the page as `realism.pdf` and `realism.png`, `results.json` and `patches.csv`; return the results.

    `patches.csv` has one row per patch: set, image, place in it, kind, particle fraction, place on the map, and the
    probability of being synthetic that a classifier gives it.
    """
    page = plot_realism(comparison)
    save_figure(out, "realism", page)
    save_pdf(Path(out) / "realism.pdf", [page])
    write_csv(Path(out) / "patches.csv", patch_table(comparison))
    results = {"sources": dict(sources or {}), **comparison.results(), "stand_in": bool(stand_in_sign())}
    save_results(out, results)
    return results


def score_table(comparison: RealismComparison) -> pd.DataFrame:
    """Return each score next to its baseline, one row per group of patches and measure; ranges are the middle 90 %."""
    rows = [
        {
            "patches": group,
            "measure": title,
            "perfect": "as real" if measure == "frechet" else {"kid": 0, "c2st": 0.5}.get(measure, 1),
            **{
                name: f"{score['value']:.3g} ({score['low']:.3g} to {score['high']:.3g})"
                for name, score in (("synthetic", scores[measure]["synthetic"]), ("real", scores[measure]["baseline"]))
            },
        }
        for group, scores in comparison.scores.items()
        for measure, (title, _) in MEASURES.items()
    ]
    return pd.DataFrame(rows).set_index(["patches", "measure"])


def summary(results: Mapping[str, Any]) -> list[str]:
    """Return the outcome in lines of text: each score next to its baseline, what differs most, and the notes.

    Parameters
    ----------
    results
        Of `write_report`.
    """
    lines = [f"{'':<12}{'':<28}{'synthetic':>10}{'real':>10}"]
    for group, scores in results["scores"].items():
        for measure, (title, _) in MEASURES.items():
            values = (scores[measure][against]["value"] for against in ("synthetic", "baseline"))
            lines.append(f"{group:<12}{title:<28}" + "".join(f"{value:>10.3g}" for value in values))
    for group, rows in results["differences"].items():
        named = (f"{DESCRIPTORS[row['property']]} {_change(row)}" for row in rows[:_NAMED])
        lines.append(f"{group} patches differ most in: {'; '.join(named)}")
    return lines + [f"note: {note}" for note in results["notes"]]


def _change(row: Mapping[str, Any]) -> str:
    return f"{row['real_median']:.3g} -> {row['synthetic_median']:.3g}"


def patch_table(comparison: RealismComparison) -> pd.DataFrame:
    """Return the table that `write_report` writes as `patches.csv`."""
    sets = {"real": comparison.real, "synthetic": comparison.synthetic}
    table = pd.concat([patches.table.assign(set=name) for name, patches in sets.items()], ignore_index=True)
    return table.assign(
        map_x=comparison.embedding[:, 0],
        map_y=comparison.embedding[:, 1],
        probability_synthetic=np.concatenate([comparison.test.first, comparison.test.second]),
    )
