"""How threads wait, settled before PyTorch is imported."""

import os
import subprocess
import sys

import pytest

SAY = "import os, sys; import nanolab; print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"
WORKER = """
import os
from nanolab.core.processes import worker_pool
if __name__ == "__main__":
    with worker_pool(1) as pool:
        print(pool.submit(os.getenv, "OMP_WAIT_POLICY").result())
"""


def said(code: str, **environment: str) -> list[str]:
    others = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=others | environment, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.mark.parametrize(("given", "there"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")])
def test_waiting_threads_sleep_unless_the_user_says_otherwise(given: dict[str, str], there: str) -> None:
    assert said(SAY, **given) == [there, "False"]


def test_workers_inherit_it() -> None:
    assert said(WORKER) == ["PASSIVE"]
