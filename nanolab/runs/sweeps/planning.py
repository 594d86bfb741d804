"""The runs of a sweep: their names, and what each depends on."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from nanolab.core.checks import InputError
from nanolab.core.files import digest
from nanolab.core.results import plain_name
from nanolab.runs.notebook import Plan, plan_run
from nanolab.runs.sweeps.spec import Sweep

__all__ = ["plan_sweep", "run_names"]

_LONGEST = 90


def plan_sweep(sweep: Sweep) -> dict[str, Plan]:
    """Return what to run, by the name of the run; all of it is checked.

    Raises
    ------
    InputError
        If the notebook cannot be used, a parameter is unknown or of another type, or two runs are the same.
    """
    combinations = list(sweep.combinations())
    plans = [plan_run(sweep.notebook, values) for values in combinations]
    names = run_names([{key: values[key] for key in sweep.varying if key in values} for values in combinations])
    seen: set[str] = set()
    for name, plan in zip(names, plans, strict=True):
        if plan.identity in seen:
            raise InputError(f"sweep {sweep.name}: the run {name} is there twice; leave one of the two out")
        seen.add(plan.identity)
    return dict(zip(names, plans, strict=True))


def run_names(varying: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return a name for each run that people can read, that can be a folder, and that no other run has.

    Examples
    --------
    >>> run_names([{"n_real": 60, "seed": 0}, {"n_real": 85, "seed": 0}])
    ['n_real=60,seed=0', 'n_real=85,seed=0']
    """
    runs = list(varying)
    readable = [",".join(f"{key}={_text(value)}" for key, value in values.items()) or "single" for values in runs]
    twins = Counter(name.casefold() for name in readable)  # some file systems take A and a for the same
    return [
        plain_name(name if twins[name.casefold()] == 1 and _faithful(values, name) else _with_hash(name, values), "run")
        for name, values in zip(readable, runs, strict=True)
    ]


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return "+".join(f"{_text(key)}-{_text(item)}" for key, item in value.items()) or "none"
    if isinstance(value, list):
        return "+".join(_text(item) for item in value)
    return re.sub(r"[^A-Za-z0-9_.+-]+", "-", str(value))


def _faithful(values: Mapping[str, Any], name: str) -> bool:
    """Tell whether a name says all that the values say and is short enough for a folder."""
    exact = all(not isinstance(value, str | list | dict) or _text(value) == value for value in values.values())
    return exact and len(name) <= _LONGEST and not name.endswith(".")


def _with_hash(name: str, values: Mapping[str, Any]) -> str:
    return f"{name[: _LONGEST - 9]}-{digest(dict(values))[:8]}"
