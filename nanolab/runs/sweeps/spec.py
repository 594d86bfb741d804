"""The YAML file of a sweep: which notebook, with which parameters, how often, where."""

import itertools
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from nanolab.core.checks import InputError
from nanolab.core.dask import ClusterKind
from nanolab.core.processes import MOST_WORKERS
from nanolab.core.validation import explained, read_yaml, validated

__all__ = ["Dask", "Paper", "Size", "Sweep", "load_sweep"]

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,59}$")]
ParameterName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Values = dict[ParameterName, Any]
Grid = dict[ParameterName, Annotated[list[Any], Field(min_length=1)]]
_MOST_RUNS = 10_000  # planning alone takes a minute

Count = Annotated[int, Field(ge=1, le=100_000)]
Workers = Annotated[int, Field(ge=1, le=MOST_WORKERS)]


class _Part(BaseModel):
    """A part of a sweep's file: an unknown key is an error, and so is a number where a text belongs."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Dask(_Part):
    """Where a sweep runs: at a scheduler that runs already, or at one that is started with its workers.

    Attributes
    ----------
    scheduler
        Address of a scheduler that runs, such as tcp://node1:8786.
    cluster
        The queue that workers are started by: slurm, pbs, lsf, sge; or local for this machine.
    jobs
        How many jobs to queue, each with one run at a time.
    options
        Of dask-jobqueue for this kind of cluster, such as cores, memory and walltime.
    """

    scheduler: str | None = None
    cluster: ClusterKind | None = None
    jobs: Count = 1
    options: dict[str, Any] = {}

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.scheduler is None) == (self.cluster is None):
            raise ValueError("must name either a running scheduler or the kind of a cluster to start")
        if self.scheduler is not None and (self.options or self.jobs != 1):
            raise ValueError("jobs and options belong to a cluster to start, not to a running scheduler")
        return self


class Paper(_Part):
    """The numbers of a paper that are put next to the sweep's own.

    Attributes
    ----------
    table
        A CSV file with one row per result; of several rows for the same parameters the last one counts.
    rows
        Only the rows that have these values in these columns.
    parameters
        The column there for each parameter of the notebook here.
    results
        The column there for each key of `results.json` here.
    """

    table: str
    rows: dict[str, Any] = {}
    parameters: dict[ParameterName, str]
    results: Annotated[dict[str, str], Field(min_length=1)]


class Size(_Part):
    """What a size of a sweep changes.

    Attributes
    ----------
    fixed, grid
        Single parameters, over those of the sweep.
    sets
        All sets, in place of the sweep's.
    repeats, workers, threads, timeout_s, dask
        In place of the sweep's; see there.
    """

    fixed: Values = {}
    grid: Grid = {}
    sets: list[Values] | None = None
    repeats: Count | None = None
    workers: Workers | None = None
    threads: Workers | None = None
    timeout_s: Annotated[float, Field(gt=0)] | None = None
    dask: Dask | None = None


class Sweep(_Part):
    """A sweep: each of `sets`, with each combination of `grid`, `repeats` times over.

    Attributes
    ----------
    notebook
        What to run; the path begins where the command is given, or else in a folder above the sweep's file.
    name
        Folder of the runs; the name of the file if not given.
    description
        What it is for; the report begins with it.
    fixed
        Parameters of the notebook that are the same in all runs.
    grid
        Lists of values of parameters, to combine with each other.
    sets
        Sets of values of parameters that belong together.
    repeats
        How often each combination runs, each with a seed of its own; without it the seed is a parameter like any other.
    seed
        The first seed; the others follow it.
    seed_parameter
        The notebook's parameter that takes the seed.
    collect
        Keys of `results.json`, with dots into nested ones; all numbers, texts and flags if none.
    paper
        A paper's numbers to put next to them.
    sizes
        What is different in a smaller or larger version of the sweep, by its name.
    workers
        Runs side by side on this machine.
    threads
        Threads for each run; by default its share of the cores.
    timeout_s
        Longest time for one cell, in seconds.
    retries
        How often a run that fails is tried again at once.
    dask
        Runs on other machines.
    """

    notebook: str
    name: Name = ""
    description: str = ""
    fixed: Values = {}
    grid: Grid = {}
    sets: Annotated[list[Values], Field(min_length=1)] = [{}]
    repeats: Count | None = None
    seed: Annotated[int, Field(ge=0)] = 0
    seed_parameter: ParameterName = "seed"
    collect: list[str] = []
    paper: Paper | None = None
    sizes: dict[Name, Size] = {}
    workers: Workers = 1
    threads: Workers | None = None
    timeout_s: Annotated[float, Field(gt=0)] | None = None
    retries: Annotated[int, Field(ge=0, le=10)] = 0
    dask: Dask | None = None

    @model_validator(mode="after")
    def _each_parameter_once(self) -> Self:
        groups = {
            "fixed": set(self.fixed),
            "grid": set(self.grid),
            "sets": {key for values in self.sets for key in values},
            "repeats": set() if self.repeats is None else {self.seed_parameter},
        }
        for (one, first), (other, second) in itertools.combinations(groups.items(), 2):
            if both := sorted(first & second):
                raise ValueError(f"{both[0]} must be given once, not in both {one} and {other}")
        return self

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        for name in self.sizes:
            try:
                self.sized(name)
            except ValidationError as error:
                raise ValueError(f"size {name}: {explained(error, Sweep).strip()}") from error
        return self

    @property
    def varying(self) -> tuple[str, ...]:
        """Parameters that differ between runs, in the order of the file."""
        names = [*dict.fromkeys(key for values in self.sets for key in values), *self.grid]
        return (*names, *([] if self.repeats is None else [self.seed_parameter]))

    def sized(self, name: str) -> "Sweep":
        """Return the sweep of a size, which has a folder of its own."""
        if name not in self.sizes:
            raise InputError(f"size {name}: must be one of {', '.join(self.sizes) or '(this sweep has none)'}")
        size = self.sizes[name]
        given = {key: getattr(size, key) for key in size.model_fields_set}
        merged = {"fixed": {**self.fixed, **size.fixed}, "grid": {**self.grid, **size.grid}}
        own = {key: getattr(self, key) for key in self.model_fields_set}
        return Sweep(**{**own, **given, **merged, "name": f"{self.name}-{name}", "sizes": {}})

    @property
    def runs(self) -> int:
        """How many runs it has."""
        return len(self.sets) * math.prod(map(len, self.grid.values())) * (self.repeats or 1)

    def combinations(self) -> Iterator[dict[str, Any]]:
        """Give the parameters of each run."""
        seeds = [{}] if self.repeats is None else [{self.seed_parameter: self.seed + k} for k in range(self.repeats)]
        for values in self.sets:
            for point in itertools.product(*self.grid.values()):
                for seed in seeds:
                    yield {**self.fixed, **values, **dict(zip(self.grid, point, strict=True)), **seed}


def load_sweep(path: Path | str, size: str | None = None) -> Sweep:
    """Read a sweep from a YAML file, in one of its sizes if `size` names one.

    Raises
    ------
    InputError
        If the file is not valid; the message names every wrong key, its value and what was expected.
    """
    content = read_yaml(path, "sweep")
    sweep = validated(Sweep, {"name": Path(path).stem, **content}, f"{path}: not a valid sweep")
    sweep = sweep if size is None else sweep.sized(size)
    if sweep.runs > _MOST_RUNS:
        raise InputError(f"{path}: a sweep has at most {_MOST_RUNS:,} runs, this one {sweep.runs:,}; take fewer values")
    return _located(sweep, Path(path))


def _located(sweep: Sweep, file: Path) -> Sweep:
    """Return the sweep with its notebook and its paper's table where they are, seen from here or from its file."""
    paper = sweep.paper and sweep.paper.model_copy(update={"table": _found(sweep.paper.table, file)})
    return sweep.model_copy(update={"notebook": _found(sweep.notebook, file), "paper": paper})


def _found(text: str, file: Path) -> str:
    """Return a path that begins here, or else in the nearest folder above the file in which it leads to something."""
    folders = [] if os.path.lexists(text) else file.resolve().parents
    return next((str(folder / text) for folder in folders if (folder / text).is_file()), text)
