"""Renders that several runs share."""

from pathlib import Path
from typing import Any

import pytest

from nanolab.core.checks import InputError
from nanolab.synthesis import rendered
from nanolab.synthesis.recipe import Recipe, load_recipe


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Recipe]:
    recipes: list[Recipe] = []

    def remember(recipe: Recipe, count: int, **options: Any) -> list[Any]:
        recipes.append(recipe)
        return []

    monkeypatch.setattr(rendered, "rendered_dataset", remember)
    return recipes


def test_lettering_is_put_on_a_share_of_any_recipe_and_nothing_else_changes(asked: list[Recipe]) -> None:
    plain = load_recipe("rods_sem")
    rendered.rendered_images("rods_sem", 2, seed=0)
    rendered.rendered_images("rods_sem", 2, seed=0, lettering=0.25)
    assert asked[0] == plain
    assert asked[1].lettering is not None
    assert asked[1].lettering.probability == 0.25
    assert asked[1].model_copy(update={"lettering": plain.lettering}) == plain


def test_a_share_of_more_than_all_is_refused(asked: list[Recipe], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lettering"):
        rendered.rendered_images("rods_sem", 2, seed=0, lettering=1.5)
    assert not asked
