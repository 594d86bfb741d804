"""The images of EMPS by what they show, and rendered ones like them."""

from collections import Counter
from collections.abc import Callable, Sequence

import pandas as pd

from nanolab.core.checks import InputError
from nanolab.datasets.annotated import AnnotatedImage, LazyImages
from nanolab.datasets.public import image_classes
from nanolab.datasets.public import public_images as public_samples
from nanolab.synthesis.cutpaste.material import check_source
from nanolab.synthesis.cutpaste.settings import CutPasteSettings
from nanolab.synthesis.rendered import rendered_images
from nanolab.training.sources import Source

__all__ = ["CASES", "SHAPES", "can_be_cut_up", "images_of", "rendered_like"]

#: Shape classes that recipes ship for.
SHAPES = ("sphere", "cube", "rod")

_SEVERAL = 15  # particles in an image, from which on rods lie next to each other

#: The cases of UTILE-Gen's table 4, 10.1021/acsnanoscienceau.3c00020. It does not list its images; these come nearest.
CASES: dict[str, Callable[[pd.DataFrame], "pd.Series[bool]"]] = {
    "gray particles": lambda table: (table["shape"] == "sphere") & (table["modality"] == "sem"),
    "black particles": lambda table: (table["shape"] == "sphere") & (table["polarity"] == "dark"),
    "ordered rods": lambda table: (
        (table["shape"] == "rod") & (table["modality"] == "tem") & (table["n_particles"] >= _SEVERAL)
    ),
}

_RECIPES = {
    ("sphere", "sem"): "spheres_sem",
    ("sphere", "tem"): "spheres_tem",
    ("cube", "sem"): "cubes_sem",
    ("cube", "tem"): "cubes_tem",
    ("rod", "sem"): "rods_sem",
    ("rod", "tem"): "au_rods_tem",
}


def images_of(shape: str = "", case: str = "") -> LazyImages:
    """Return the images of EMPS whose annotation is complete, of a shape class or a case of `CASES`.

    Raises
    ------
    InputError
        If not one of both is given, it is not known, or the set is not on this machine.
    """
    if bool(shape) == bool(case) or (shape or SHAPES[0]) not in SHAPES or (case or next(iter(CASES))) not in CASES:
        raise InputError(
            f"images of EMPS: give either a shape, one of {', '.join(SHAPES)}, or a case, one of {', '.join(CASES)}; "
            f"got {shape!r} and {case!r}"
        )
    table = image_classes()
    wanted = table["usable"] & (CASES[case](table) if case else table["shape"] == shape)
    return public_samples("emps").without(*table.index[~wanted])


def can_be_cut_up(settings: CutPasteSettings) -> Callable[[AnnotatedImage], bool]:
    """Return a function that tells whether cut and paste can use an image: it has a whole particle and background."""

    def can(sample: AnnotatedImage) -> bool:
        try:
            check_source(sample, settings)
        except InputError:
            return False
        return True

    return can


def rendered_like(names: Sequence[str], count: int) -> list[Source]:
    """Return `count` rendered images, with as large a share of each modality as images of EMPS with these names have.

    No particle of them is copied: shape class and modality choose the recipe, all else is the recipe's.

    Raises
    ------
    InputError
        If an image shows none of `SHAPES`.
    """
    table = image_classes()
    recipes = [_recipe(table.loc[name], name) for name in names]
    wanted = Counter(recipes[k % len(recipes)] for k in range(count))
    return [Source(rendered_images(recipe, each, seed=0), name=recipe) for recipe, each in wanted.items()]


def _recipe(row: "pd.Series[str]", name: str) -> str:
    modality = "tem" if row["modality"] == "tem" else "sem"  # dark field has bright particles too
    if (row["shape"], modality) not in _RECIPES:
        raise InputError(f"{name}: shows particles of the shape {row['shape']!r}; there are recipes for {SHAPES}")
    return _RECIPES[row["shape"], modality]
