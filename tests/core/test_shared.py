"""Work that runs share: done once, by whichever process comes first."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from nanolab.core.files import read_json
from nanolab.core.shared import made_once

ASK = """\
import sys, time
from pathlib import Path

from nanolab.core.shared import made_once

def make(folder):
    with (folder / "made.log").open("a") as log:
        log.write("made\\n")
    while (folder.parent / "hold").exists():
        time.sleep(0.05)
    (folder / "content").write_text("whole")
folder = made_once("set", {"n": 3}, make, root=Path(sys.argv[1]))
print((folder / "content").read_text())
"""


def ask(root: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", ASK, str(root)], stdout=subprocess.PIPE, text=True)


def test_processes_that_ask_at_the_same_time_get_one_thing_made_once(tmp_path: Path) -> None:
    processes = [ask(tmp_path) for _ in range(3)]
    assert [process.communicate(timeout=60)[0].strip() for process in processes] == ["whole"] * 3
    (folder,) = tmp_path.glob("set-*")
    assert (folder / "made.log").read_text() == "made\n"
    assert read_json(folder / "shared.json")["settings"] == {"n": 3}


def test_what_a_killed_process_began_is_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "hold").touch()
    first = ask(tmp_path)
    end = time.monotonic() + 60
    while not list(tmp_path.glob("set-*/made.log")):
        assert time.monotonic() < end
        time.sleep(0.05)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    (tmp_path / "hold").unlink()
    assert ask(tmp_path).communicate(timeout=60)[0].strip() == "whole"
    (log,) = tmp_path.glob("set-*/made.log")
    assert log.read_text() == "made\nmade\n"


def test_other_settings_are_another_folder(tmp_path: Path) -> None:
    made: list[Path] = []
    for settings in ({"n": 1}, {"n": 2}, {"n": 1}):
        made_once("set", settings, made.append, root=tmp_path)
    assert len(made) == len(set(made)) == 2
