from pathlib import Path

from nanolab.runs.lab import KernelsAtRoot


def test_kernels_begin_at_the_root_wherever_their_notebook_is(tmp_path: Path) -> None:
    (tmp_path / "notebooks").mkdir()
    assert KernelsAtRoot(root_dir=str(tmp_path)).cwd_for_path("notebooks") == str(tmp_path)
