"""Many runs of a notebook from one YAML file, here or on a cluster, and the table that they give."""

from nanolab.core.shared import rendered, shared
from nanolab.runs.sweeps.engine import run_sweep
from nanolab.runs.sweeps.spec import load_sweep
from nanolab.runs.sweeps.table import collect

__all__ = ["collect", "load_sweep", "rendered", "run_sweep", "shared"]
