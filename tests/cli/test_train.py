from pathlib import Path

import numpy as np
import pytest
from helpers.discs import TINY, disc_sample
from typer.testing import CliRunner

from nanolab.cli import app
from nanolab.datasets.looked_at import write_looked_at
from nanolab.images.labels import write_labels
from nanolab.images.tiff import write_tiff
from nanolab.models.registry import NETWORKS
from nanolab.training.run import TrainingRun

QUICK = ["network=tiny", "epochs=2", "steps_per_epoch=2", "batch_size=2", "patch_px=33", "threads=1", "device=cpu"]


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two data sets of four images each."""
    monkeypatch.setitem(NETWORKS, "tiny", TINY["tiny"])
    for name in ("real", "synthetic"):
        for seed in range(4):
            sample = disc_sample(seed)
            image = np.rint(sample.image.clip(0, 1) * 255).astype(np.uint8)
            write_tiff(tmp_path / name / "images" / f"{seed}.tif", image, pixel_size_nm=2.0)
            write_labels(tmp_path / name / "masks" / f"{seed}.tif", sample.labels, pixel_size_nm=2.0)
    return [str(tmp_path / "real"), str(tmp_path / "synthetic")]


def train(*words: str, settings: list[str] = QUICK) -> tuple[int, str]:
    pairs = [word for setting in settings for word in ("--set", setting)]
    result = CliRunner().invoke(app, ["train", *words, *pairs])
    return result.exit_code, result.output


def test_a_preset_with_changes_on_a_mix(folders: list[str], tmp_path: Path) -> None:
    real, synthetic = folders
    watched = ["--validate", f"{real}/images/0.tif", "--validate-mask", f"{real}/masks/0.tif"]
    words = [f"{real}:2", f"{synthetic}:3", "--share", "1", "--share", "3", "--preset", "mill2021", *watched]
    code, shown = train(*words, "-o", str(tmp_path / "run"), settings=[*QUICK, "keep=all", "augmentation.noise=0.01"])
    assert code == 0, shown
    run = TrainingRun(tmp_path / "run")
    sources = run.record["data"]["sources"]
    assert [(each["name"], each["images"], each["share"]) for each in sources] == [
        (real, 2, 0.25),
        (synthetic, 3, 0.75),
    ]
    assert (run.settings.loss, run.settings.patch_px, run.settings.augmentation.noise) == ("bce", 33, 0.01)
    log = run.log()
    assert run.selected_epoch == log["epoch"][log["dice"].fillna(-1).idxmax()]


def test_a_training_goes_on_with_the_network_of_another_and_learns_only_where_somebody_looked(
    folders: list[str], tmp_path: Path
) -> None:
    other = [*QUICK, "readout=foreground", "readout_options.threshold=0.4", "stretch=[0, 100]"]
    code, shown = train(folders[0], "-o", str(tmp_path / "first"), settings=other)
    assert code == 0, shown
    seen = np.zeros((96, 96), dtype=bool)
    for seed in range(4):
        write_looked_at(Path(folders[1]), str(seed), seen)
    words = [folders[1], "--from", str(tmp_path / "first"), "-o", str(tmp_path / "then")]
    code, shown = train(*words, settings=QUICK[1:])
    assert code == 2
    assert "part of an image that somebody looked at" in shown
    seen[:48] = True
    write_looked_at(Path(folders[1]), "2", seen)
    code, shown = train(*words, settings=QUICK[1:])
    assert code == 0, shown
    then = TrainingRun(tmp_path / "then").settings
    assert (then.network, then.readout, then.readout_options) == ("tiny", "foreground", {"threshold": 0.4})
    assert (then.stretch, then.anchor) == ((0, 100), 0.01)


def test_leave_one_out(folders: list[str], tmp_path: Path) -> None:
    words = [folders[0], "--leave-one-out", "--preset", "mill2021_real", "-o", str(tmp_path / "run")]
    code, shown = train(*words)
    assert code == 0, shown
    assert "4 trainings" in shown
    assert [len(TrainingRun(tmp_path / "run" / f"0{k}").epochs) for k in range(4)] == [1] * 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["REAL:9"], "9 images are wanted of 4"),
        (["REAL:0"], "how many images to take"),
        (["REAL", "--share", "1", "--share", "2"], "give as many as there are data sets, 1, got 2"),
        (["REAL", "--preset", "mill"], "preset: must be one of default"),
        (["REAL", "SYNTHETIC", "--leave-one-out"], "takes one data set"),
        (["nowhere"], "must be a folder or one of"),
    ],
)
def test_mistakes_end_with_a_message(folders: list[str], tmp_path: Path, words: list[str], message: str) -> None:
    given = [word.replace("REAL", folders[0]).replace("SYNTHETIC", folders[1]) for word in words]
    code, shown = train(*given, "-o", str(tmp_path / "run"))
    assert code == 2
    assert message in shown
