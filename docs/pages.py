"""Puts the pages of the documentation together: those in docs/, those written from the code, executed notebooks.

    python docs/pages.py TARGET EXECUTED

`TARGET` becomes Sphinx's source folder. `EXECUTED` is the folder into which the tests of notebooks copy what they have
executed; a notebook that is not in it, or is another there than in notebooks/, is executed now, by its own test.
"""

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import typer.main
from keys import key_page

import nanolab
from nanolab.cli import app
from nanolab.models.readouts.base import READOUTS
from nanolab.models.registry import NETWORKS
from nanolab.runs.sweeps.spec import Sweep
from nanolab.synthesis.recipe import Recipe, load_recipe, shipped_recipes
from nanolab.training.presets import PRESETS
from nanolab.training.settings import TrainingSettings

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
RESULTS = ROOT / "papermill_runs" / "results"
# A test runs in a folder of its own, .../pytest-1/popen-gw0/test_name0.
TEST_FOLDER = re.compile(r"(?:/[\w.-]+){1,9}/pytest-\d+/(?:popen-\w+/)?\w+/")
TABLES = {
    "recipe": (
        Recipe,
        "Keys of a recipe",
        "A recipe is a YAML file. *Number or distribution* means a number, a range `[low, high]`, in which every value "
        "is as likely, or one of the distributions below, such as `{kind: lognormal, median: 180, gsd: 1.3}`. "
        "A key that nanolab does not know is an error that names the nearest one.",
    ),
    "training": (
        TrainingSettings,
        "Keys of a training",
        "They are given as `nanolab train --set KEY VALUE`, as `settings` of a notebook, or to `nl.TrainingSettings`. "
        "A dot leads into a part: `--set augmentation.gamma 0.5`. "
        f"Networks are {', '.join(f'`{name}`' for name in NETWORKS)}; "
        f"read-outs {', '.join(f'`{name}`' for name in READOUTS)}; "
        f"presets, for `--preset`, {', '.join(f'`{name}`' for name in PRESETS)}.",
    ),
    "sweep": (
        Sweep,
        "Keys of a sweep",
        "A sweep is a YAML file for `nanolab sweep`; those that ship are in `papermill_runs/sweeps/`.",
    ),
}


def assemble(target: Path, executed: Path) -> None:
    """Write all pages into `target`; what is there and the same is left alone, so that Sphinx builds it once."""
    written = {target / path: content for path, content in _pages(executed)}
    for path, content in written.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)
    for path in [path for path in target.rglob("*") if path.is_file() and path not in written]:
        path.unlink()  # also what autosummary wrote, which may be of names that are gone


def _pages(executed: Path) -> Iterator[tuple[Path, bytes]]:
    """Give the path of each page, or picture, and its content."""
    for path in sorted(DOCS.rglob("*")):
        if path.is_file() and path.suffix not in (".pyc",) and path.name not in ("pages.py", "keys.py"):
            yield path.relative_to(DOCS), path.read_bytes()
    for path in sorted(RESULTS.rglob("*")):
        if path.is_file():
            yield Path("results") / path.relative_to(RESULTS), path.read_bytes()
    for name, (model, title, lead) in TABLES.items():
        yield Path(f"reference/{name}.md"), key_page(title, lead, model, name).encode()
    yield Path("reference/command_line.md"), command_line().encode()
    yield Path("reference/packages.md"), packages().encode()
    yield Path("recipes.md"), recipes().encode()
    for page, path in (("changelog", "CHANGELOG"), ("contributing", "CONTRIBUTING"), ("reference/data", "data/README")):
        yield Path(f"{page}.md"), without_links((ROOT / f"{path}.md").read_text("utf-8")).encode()
    card = (ROOT / "data/models/README.md").read_text("utf-8")
    yield Path("reference/network.md"), without_links(card, keep="../../papermill_runs/", become="../").encode()
    for name, notebook in notebooks(executed).items():
        yield Path("tutorials") / name, nbformat.writes(notebook).encode()


def without_links(text: str, keep: str = " ", become: str = "") -> str:
    """Return Markdown whose links to files of the repository are names, but those that begin with `keep`."""

    def plain(link: re.Match[str]) -> str:
        words, where = link[1], link[2]
        if where.startswith(keep):
            return f"[{words}]({become}{where.removeprefix(keep)})"
        return link[0] if re.match(r"https?://|#", where) else words

    return re.sub(r"\[([^\]]+)\]\(([^)\s]+)\)", plain, text)


def verbs() -> dict[str, Any]:
    """Return the verbs of the command line by their names, `data get` among them."""
    found: dict[str, Any] = {}

    def collect(command: Any, name: str) -> None:
        for word, inner in getattr(command, "commands", {}).items():
            collect(inner, f"{name} {word}".strip())
        if not hasattr(command, "commands") and not command.hidden:
            found[name] = command

    collect(typer.main.get_command(app), "")
    return found


def command_line() -> str:
    """Return the page on the verbs of the command line."""
    lead = (
        "`nanolab VERB --help` says the same. A user's mistake ends with exit code 2 and a message that says what to "
        "do, a failure that is nobody's mistake with 1, Ctrl-C with 130; what is finished then stays."
    )
    table = ["| verb | what it does |", "|---|---|"]
    table += [
        f"| [`{name}`](#nanolab-{_id(name)}) | {command.help.splitlines()[0]} |" for name, command in verbs().items()
    ]
    sections = [_verb(name, command) for name, command in verbs().items()]
    return "\n\n".join(["# Command line", lead, "\n".join(table), *sections]) + "\n"


def _id(name: str) -> str:
    return name.replace(" ", "-")


def _verb(name: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and "--help" not in p.opts]
    needed = [f"{option.opts[0]} {_metavar(option)}" for option in options if option.required]
    usage = " ".join(["nanolab", name, *(_metavar(argument) for argument in arguments), *needed, "[OPTIONS]"])
    rows = [f"| `{_metavar(p)}` | {_help(p)} | {'' if p.required else 'may be left out'} |" for p in arguments]
    rows += [f"| `{', '.join(p.opts)}`{_value(p)} | {_help(p)} | {_default(p)} |" for p in options]
    text = f"(nanolab-{_id(name)})=\n## `nanolab {name}`\n\n{command.help}\n\n```shell\n{usage}\n```\n\n"
    return text + "\n".join(["| argument | meaning | default |", "|---|---|---|", *rows])


def _metavar(parameter: Any) -> str:
    if parameter.metavar:
        return str(parameter.metavar)
    word = parameter.name.upper()
    return f"{word}..." if parameter.nargs == -1 else str(word)


def _value(option: Any) -> str:
    words = {"int": "whole number", "float": "number", "str": "text", "Path": "path"}
    kind = option.type_descriptor.annotation.__name__
    if option.metavar:
        return f" `{option.metavar}`"
    return "" if option.is_bool_flag or option.is_flag else f" *{words.get(kind, 'text')}*"


def _help(parameter: Any) -> str:
    text = (parameter.help or "").replace("|", "\\|")
    limits = [] if parameter.min is None else [f"at least {parameter.min:g}"]
    limits += [] if parameter.max is None else [f"at most {parameter.max:g}"]
    return f"{text} ({', '.join(limits)})" if limits else text


def _default(option: Any) -> str:
    if option.required:
        return "*must be given*"
    if option.is_bool_flag or option.default in (None, [], ()):
        return ""
    return f"`{option.default}`"


def packages() -> str:
    """Return the page on the packages: what each is for, and its public names."""
    stubs = sorted((ROOT / "nanolab").glob("*/**/__init__.pyi"))
    lead = (
        "What the packages of nanolab give beyond `nl`. `from nanolab.figures import plot_epochs` imports only what it "
        "needs. [Contributing](../contributing.md) has the map of the packages."
    )
    return "\n\n".join(["# Packages", lead, *map(_package, stubs)]) + "\n"


def _package(stub: Path) -> str:
    package = ".".join(stub.parent.relative_to(ROOT).parts)
    module = importlib.import_module(package)
    members = {name: getattr(module, name) for name in sorted(dir(module)) if not name.startswith("_")}
    first = {id(getattr(nanolab, name)): name for name in dir(nanolab) if not name.startswith("_")}
    known = [f"[`nl.{name}`](python.md)" for name, member in members.items() if id(member) in first]
    data = [f"`{name}`" for name, member in members.items() if not callable(member)]
    rest = [name for name, member in members.items() if callable(member) and id(member) not in first]
    text = [f"## `{package}`", (module.__doc__ or "").strip()]
    if rest:
        names = "\n".join(f"   {package}.{name}" for name in rest)
        text.append(f"```{{eval-rst}}\n.. autosummary::\n   :toctree: generated\n   :nosignatures:\n\n{names}\n```")
    if also := [*known, *data]:
        text.append(f"Also {', '.join(also)}.")
    return "\n\n".join(text)


def recipes() -> str:
    """Return the page on the recipes that ship, each with its file."""
    text = (DOCS / "recipes.md").read_text("utf-8")
    sections = []
    for name, path in sorted(shipped_recipes().items()):
        about = " ".join(load_recipe(name).description.split())
        fence = f"::::{{dropdown}} {name}.yaml\n```yaml\n{path.read_text('utf-8').strip()}\n```\n::::"
        sections.append(f"## `{name}`\n\n{about}\n\n{fence}")
    return "\n\n".join([text.strip(), *sections]) + "\n"


def notebooks(executed: Path) -> dict[str, Any]:
    """Return the notebooks by file name, each executed once: by the tests before, or else now."""
    sources = {path.name: nbformat.read(path, as_version=4) for path in sorted((ROOT / "notebooks").glob("*.ipynb"))}
    missing = [name for name, source in sources.items() if not _same(source, executed / name)]
    if missing:
        print(f"executing {', '.join(missing)}", flush=True)
        tests = [path for path in (ROOT / "tests/notebooks").glob("test_*.py") if _runs(path, missing)]
        environment = {**os.environ, "NANOLAB_EXECUTED": str(executed.resolve())}
        subprocess.run([sys.executable, "-m", "pytest", "-q", *map(str, tests)], cwd=ROOT, env=environment, check=True)
    found = {}
    for name, source in sources.items():
        done = _same(source, executed / name)
        if not done:
            print(f"{name}: could not be executed here, so its page has no outputs", flush=True)
        found[name] = _shown(nbformat.read(executed / name, as_version=4)) if done else source
    return found


def _runs(test: Path, names: list[str]) -> bool:
    text = test.read_text("utf-8")
    return any(Path(name).stem in text for name in names)


def _same(source: Any, executed: Path) -> bool:
    """Say whether the executed notebook has the cells of the source, but for the parameters put into it."""
    if not executed.exists():
        return False
    cells = [cell for cell in nbformat.read(executed, as_version=4).cells if not _injected(cell)]
    return [cell.source for cell in cells] == [cell.source for cell in source.cells]


def _injected(cell: Any) -> bool:
    return "injected-parameters" in cell.metadata.get("tags", [])


def _shown(notebook: Any) -> Any:
    """Return the notebook as a page: a note in place of the parameters put in, no paths of the machine that ran it."""
    for cell in notebook.cells:
        if _injected(cell):
            cell.cell_type = "markdown"
            lines = [line for line in cell.source.splitlines() if not re.match(r"#|run_folder", line)]
            cell.source = (
                "```{note}\nThis page was made by a run as small as the tests', so its numbers mean nothing. It had "
                "other parameters:\n\n" + "\n".join(f"    {line}" for line in lines) + "\n```"
            )
            for key in ("outputs", "execution_count"):
                cell.pop(key, None)
        for output in cell.get("outputs", []):
            if "<iframe" in (output.get("data") or {}).get("text/html", ""):
                output.data = {"text/html": "<p><em>Where a kernel runs, the page itself is shown here.</em></p>"}
    for key in ("widgets", "papermill"):
        notebook.metadata.pop(key, None)
    return nbformat.reads(TEST_FOLDER.sub("", nbformat.writes(notebook)), as_version=4)


if __name__ == "__main__":
    sys.path.insert(0, str(DOCS))
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    assemble(Path(sys.argv[1]), Path(sys.argv[2]))
