"""Processes next to this one: what happens when they cannot work."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nanolab.core.checks import InputError
from nanolab.core.processes import processor_cores, worker_count, worker_pool

SCRIPT = """
from pathlib import Path
from nanolab.core.shared import made_once
from nanolab.core.processes import worker_pool

def make(folder):
    with worker_pool(1) as pool:
        print("worked out", pool.submit(abs, -3).result())

{guard}    made_once("numbers", {{"n": 3}}, make, root=Path("cache"))
"""


def run(folder: Path, guard: str) -> subprocess.CompletedProcess[str]:
    (folder / "script.py").write_text(SCRIPT.format(guard=guard), encoding="utf-8")
    command = [sys.executable, "script.py"]
    return subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True, timeout=100)


def test_a_process_that_ends_is_told() -> None:
    with pytest.raises(InputError, match="has ended before its work"), worker_pool(1) as pool:
        pool.submit(os._exit, 1).result()


def test_a_guarded_script_works(tmp_path: Path) -> None:
    ended = run(tmp_path, 'if __name__ == "__main__":\n')
    assert (ended.returncode, ended.stdout) == (0, "worked out 3\n"), ended.stderr


def test_a_script_without_guard_says_so_and_does_not_wait_for_itself(tmp_path: Path) -> None:
    ended = run(tmp_path, "if True:\n")
    assert ended.returncode == 1
    assert "InputError: a process that worked next to this one has ended" in ended.stderr
    assert 'under `if __name__ == "__main__":`' in ended.stderr
    assert not list(tmp_path.glob("cache/*/shared.json"))


@pytest.mark.parametrize("given", ["0", "1025", "-1", "many", "1.5"])
def test_a_number_of_threads_that_is_none_is_refused_with_the_range(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NANOLAB_THREADS", given)
    with pytest.raises(InputError, match=r"\$NANOLAB_THREADS must be a number from 1 to 1024, got"):
        processor_cores()
    assert worker_count(3) == 3
    with pytest.raises(InputError, match="workers must be a number from 1 to 1024, got 0"):
        worker_count(0)
