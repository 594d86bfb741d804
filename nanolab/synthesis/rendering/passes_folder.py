"""Passes kept on disk, so that scenes can appear again, in any other detector, without Blender."""

from pathlib import Path

from nanolab.core.checks import InputError
from nanolab.core.files import atomic, output_folder
from nanolab.synthesis.passes import Passes, load_passes, save_passes
from nanolab.synthesis.recipe import Recipe, dump_recipe

__all__ = ["PassesFolder", "scene_text"]

# What of a recipe has no part in its scenes.
_LOOK = {
    "name",
    "description",
    "substrate",
    "detector",
    "data_bar",
    "lettering",
    "degradation",
    "labels",
    "appearances_per_scene",
}


def scene_text(recipe: Recipe) -> str:
    """Return what of a recipe decides about its scenes; recipes of one text have the same scenes."""
    through = "# seen through\n" if recipe.background and recipe.detector.sees_through else ""
    return through + dump_recipe(recipe, exclude=_LOOK)


class PassesFolder:
    """A folder with the passes of the scenes of one recipe and seed: ``000000.npz`` and so on, and ``scenes.yaml``.

    Parameters
    ----------
    folder
        Made if it does not exist.
    recipe
        Its substrate, detector and labels do not matter: recipes that differ in these alone may share a folder; but
        where there is background, it matters whether the detector sees through it.

    Raises
    ------
    InputError
        If the folder cannot be used, or holds the scenes of another recipe or seed.
    """

    def __init__(self, folder: Path | str, recipe: Recipe, seed: int) -> None:
        self.folder = output_folder(folder)
        wanted = f"# scenes of seed {seed}\n{scene_text(recipe)}"
        about = self.folder / "scenes.yaml"
        if not about.exists():
            with atomic(about) as temporary:
                temporary.write_text(wanted, encoding="utf-8", newline="\n")
        if about.read_text(encoding="utf-8") != wanted:
            raise InputError(f"{about}: holds the passes of other scenes or of another seed; choose another folder")

    def get(self, scene: int) -> Passes | None:
        """Return the passes of a scene, None if they are not there or not whole."""
        path = self._path(scene)
        if not path.exists():
            return None
        try:
            return load_passes(path)
        except InputError:  # damaged: it is rendered again
            return None

    def put(self, scene: int, passes: Passes) -> None:
        """Keep the passes of a scene, atomically."""
        save_passes(self._path(scene), passes)

    def _path(self, scene: int) -> Path:
        return self.folder / f"{scene:06d}.npz"
