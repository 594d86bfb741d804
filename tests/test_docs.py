"""The documentation: every page is reached, every verb and key has an entry, and what people are to type exists."""

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from helpers.discs import disc_sample

import nanolab
from nanolab.images.tiff import write_tiff
from nanolab.runs.sweeps.spec import load_sweep
from nanolab.synthesis.recipe import parse_recipe

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = {path.relative_to(DOCS).with_suffix("").as_posix(): path.read_text("utf-8") for path in DOCS.rglob("*.md")}
TEXTS = {"README": (ROOT / "README.md").read_text("utf-8"), **PAGES}


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    """What writes pages from the code; `docs` is no package."""
    pytest.importorskip("nbformat")
    for name in ("keys", "pages"):
        spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules["pages"]


def in_contents(page: str) -> set[str]:
    """The pages that the contents of a page lead to."""
    folder = Path(page).parent
    blocks = re.findall(r"```\{toctree\}\n(.*?)```", PAGES[page], re.S)
    lines = [line.strip() for block in blocks for line in block.splitlines() if line and not line.startswith(":")]
    return {(folder / line).as_posix() for line in lines}


def test_every_page_is_reached_from_the_first() -> None:
    reached, new = set(), {"index"}
    while new:
        reached |= new
        new = {target for page in new for target in in_contents(page) if target in PAGES} - reached
    assert reached == set(PAGES)


def test_every_public_name_is_on_the_page_of_python() -> None:
    listed = set(re.findall(r"^   nanolab\.(\w+)$", PAGES["reference/python"], re.M))
    assert listed == {name for name in dir(nanolab) if not name.startswith("_")}


def test_every_notebook_is_among_the_tutorials() -> None:
    listed = re.findall(r"\[(\d\d_\w+)\]", PAGES["tutorials/index"])
    assert listed == sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))


def test_every_recipe_is_in_the_table_of_recipes() -> None:
    firsts = re.findall(r"^\| (`.*?) \|", PAGES["recipes"], re.M)
    listed = {name for first in firsts for name in re.findall(r"`(\w+)`", first)}
    assert listed == {path.stem for path in (ROOT / "data/recipes").glob("*.yaml")}


def test_every_verb_and_option_has_an_entry(pages: ModuleType) -> None:
    text = pages.command_line()
    for name, command in pages.verbs().items():
        section = text[text.index(f"## `nanolab {name}`") :].split("\n## ")[0]
        for parameter in command.params:
            if parameter.opts[-1] != "--help" and parameter.param_type_name == "option":
                assert f"`{', '.join(parameter.opts)}`" in section
                assert parameter.help


@pytest.mark.parametrize("name", ["recipe", "training", "sweep"])
def test_every_key_has_a_meaning(pages: ModuleType, name: str) -> None:
    keys: Any = sys.modules["keys"]
    model = pages.TABLES[name][0]
    parts = keys.parts(model)
    named = [(part, key) for part in parts for key in part.model_fields]
    assert [f"{part.__name__}.{key}" for part, key in named if not keys.meaning(part, key)] == []
    text = keys.key_page("", "", model, name)
    assert len(re.findall(r"^\| `\w+` \|", text, re.M)) == len(named)


def commands(text: str) -> list[list[str]]:
    """The words of each command line in the blocks of a page that begins with nanolab."""
    blocks = re.findall(r"^```shell\n(.*?)^```", text, re.M | re.S) + re.findall(r"(?:^ {4,}\S.*\n)+", text, re.M)
    lines = [line.strip().removeprefix(".venv/bin/") for block in blocks for line in block.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("nanolab ")]


@pytest.mark.parametrize("page", sorted(TEXTS))
def test_commands_that_a_page_shows_exist(pages: ModuleType, page: str) -> None:
    verbs = pages.verbs()
    for words in commands(TEXTS[page]):
        verb = " ".join(words[:2]) if words[0] == "data" else words[0]
        known = {option for parameter in verbs[verb].params for option in parameter.opts}
        assert {word for word in words if re.match(r"--?[a-z]", word)} <= known, " ".join(words)


def test_the_recipe_and_the_sweep_that_pages_show_are_valid(tmp_path: Path) -> None:
    blocks = re.findall(
        r"^```yaml\n(name: .*?|notebook: .*?)^```", PAGES["howto/recipe"] + PAGES["howto/sweeps"], re.M | re.S
    )
    assert parse_recipe(blocks[0], "howto/recipe").name == "my_spheres"
    (tmp_path / "my_sweep.yaml").write_text(blocks[1], "utf-8")
    assert len(list(load_sweep(tmp_path / "my_sweep.yaml").combinations())) == 8
    assert len(list(load_sweep(tmp_path / "my_sweep.yaml", "smoke").combinations())) == 2


@pytest.mark.slow
def test_the_first_example_works_as_printed(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```python\n(.*?)^```", TEXTS["README"], re.M | re.S)
    assert block in PAGES["start"]
    pixels = np.rint(np.clip(disc_sample(1, (256, 256), 40).image, 0, 1) * 255).astype(np.uint8)
    write_tiff(tmp_path / "image.tif", pixels, pixel_size_nm=2.0)
    (tmp_path / "example.py").write_text(block + "print(len(particles), particles['ecd_nm'].median())\n", "utf-8")
    done = subprocess.run([sys.executable, "example.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    count, median_nm = done.stdout.split()
    assert int(count) > 10
    assert 20 < float(median_nm) < 36  # radii of 5 to 9 px at 2 nm a pixel


@pytest.mark.slow
def test_the_documentation_builds_without_a_warning(
    pages: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With notebooks as they are, without outputs: `make docs` builds it with those that tests have executed."""
    sources = (ROOT / "notebooks").glob("*.ipynb")
    monkeypatch.setattr(pages, "notebooks", lambda _: {path.name: pages.nbformat.read(path, 4) for path in sources})
    pages.assemble(tmp_path / "source", tmp_path / "executed")
    build = ["-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", str(tmp_path / "source"), str(tmp_path / "html")]
    done = subprocess.run([sys.executable, *build], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "html" / "index.html").exists()
