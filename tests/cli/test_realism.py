"""`nanolab realism`: from two sets on disk to the files of a report."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from nanolab.cli import app
from nanolab.core.files import read_json


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["realism", *map(str, words)])


def test_two_folders_give_a_report(discs: Any, saved: Any, tmp_path: Path) -> None:
    real = saved(tmp_path / "set", discs(6, seed=1, side=288))
    synthetic = saved(tmp_path / "images", discs(6, seed=2, side=288, noise=0.03), labels=tmp_path / "labels")
    out = tmp_path / "report"
    shown = run("--real", real, "--synthetic", synthetic, "--synthetic-labels", tmp_path / "labels", "-o", out)
    assert shown.exit_code == 0, shown.output
    assert {path.name for path in out.iterdir()} == {"realism.pdf", "realism.png", "results.json", "patches.csv"}
    results = read_json(out / "results.json")
    assert results["patches_by_kind"]["synthetic"]["unknown"] == 0
    assert results["pixel_size_nm"] == pytest.approx(2)
    assert "all patches differ most in: " in shown.stdout
    (noise,) = [row for row in results["differences"]["all"] if row["property"] == "noise"]
    assert noise["synthetic_median"] == pytest.approx(0.03, rel=0.03)  # 54 patches of some 10^4 pixels
    (line,) = [line for line in shown.stdout.splitlines() if line.startswith("all         kernel")]
    values = [results["scores"]["all"]["kid"][against]["value"] for against in ("synthetic", "baseline")]
    assert np.array(line.split()[-2:], dtype=float) == pytest.approx(values, rel=5e-3)  # three digits are shown


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--real", "nowhere", "--synthetic", "nowhere"], "nowhere: must be a folder or one of bam-tio2, emps"),
        (["--real", "{few}", "--synthetic", "{few}"], "real images: need at least 4"),
        (["--real", "{set}", "--synthetic", "{set}", "--preset", "mill"], "preset mill: must be one of"),
        (["--real", "{set}", "--synthetic", "{set}", "--preset", "mill2021", "--weights", "no.pth"], "VGG16 weights"),
        (["--real", "{set}", "--synthetic", "{set}", "--real-labels", "x"], "this set has its own"),
        (["--real", "{set}", "--synthetic", "{set}", "-o", "{set}/manifest"], "an image must be at least one patch"),
    ],
)
def test_mistakes_are_named(options: list[str], message: str, discs: Any, saved: Any, tmp_path: Path) -> None:
    folders = {
        "few": saved(tmp_path / "few", discs(3, seed=1, side=64)),
        "set": saved(tmp_path / "set", discs(4, seed=1, side=64)),
    }
    shown = run("-o", tmp_path / "out", *(option.format(**folders) for option in options))
    assert shown.exit_code == 2
    assert message in shown.stderr
