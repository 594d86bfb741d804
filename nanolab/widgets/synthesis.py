"""A recipe's editor: sliders for its numbers, the image next to them, and a button that saves the recipe."""

import base64
import html
import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import ValidationError
from skimage.segmentation import find_boundaries

from nanolab.core.checks import InputError
from nanolab.core.extras import optional
from nanolab.core.files import atomic
from nanolab.core.validation import explained
from nanolab.core.words import count_words
from nanolab.images.micrograph import Micrograph
from nanolab.synthesis.generate import Preview, RenderedImage
from nanolab.synthesis.recipe import Recipe, dump_recipe
from nanolab.synthesis.rendering.client import Device, RenderError
from nanolab.widgets.knobs import Knob, changed, knobs

with optional():
    import ipywidgets as widgets

__all__ = ["RecipeEditor"]

_OUTLINE = (86, 180, 233)
_WIDTHS = {"knob": "430px", "image": "560px"}


class RecipeEditor(widgets.HBox):  # type: ignore[misc]  # ipywidgets has no types
    """Turn a recipe's numbers and see the image change: at once for the detector, after a render for the scene.

    Where no widget can run, as in a notebook shown on a web page, the image stands in its place.

    Parameters
    ----------
    recipe
        Where to begin.
    micrograph
        One of yours, whose middle is shown next to the image, as large a field if its pixel size is known.
    seed
        That of the dataset whose images are shown.
    device
        "auto" renders on a GPU where Blender finds one, "cpu" never does.

    Attributes
    ----------
    recipe
        The recipe as it is now.
    rendered
        The image shown, with its truth.
    """

    def __init__(
        self, recipe: Recipe, micrograph: Micrograph | None = None, *, seed: int = 0, device: Device = "auto"
    ) -> None:
        self.recipe = recipe
        self._preview = Preview(seed=seed, device=device)
        self._saved: set[Path] = set()
        self._picture = widgets.Image(format="png", layout={"width": _WIDTHS["image"]})
        self._micrograph = None if micrograph is None else micrograph.crop_data_bar()
        self._real = widgets.Image(format="png", layout={"width": _WIDTHS["image"]})
        self._message = widgets.HTML()
        self.scene = widgets.BoundedIntText(0, 0, 10**6, description="scene", layout={"width": "170px"})
        self.look = widgets.BoundedIntText(0, 0, 10**6, description="look", layout={"width": "170px"})
        self.outlines = widgets.Checkbox(value=False, description="outlines", indent=False, layout={"width": "100px"})
        self.path = widgets.Text(f"{recipe.name}_changed.yaml", description="recipe file")
        self.save_button = widgets.Button(description="save", icon="save", layout={"width": "100px"})
        self.sliders = {knob: _slider(knob) for knob in knobs(recipe)}
        for knob, slider in self.sliders.items():
            slider.observe(lambda change, knob=knob: self._turn(knob, change["new"]), "value")
        for control in (self.scene, self.look):
            control.observe(lambda _: self._show(), "value")
        self.outlines.observe(lambda _: self._draw(), "value")
        self.save_button.on_click(lambda _: self._save())
        top = widgets.HBox([self.scene, self.look, self.outlines])
        bottom = widgets.HBox([self.path, self.save_button])
        shown = [widgets.VBox([top, self._picture, bottom, self._message])]
        if self._micrograph is not None:
            shown.append(widgets.VBox([widgets.HTML("your micrograph"), self._real]))
        super().__init__([*shown, self._sections()])
        self._show()

    def save(self, path: Path | str) -> Path:
        """Write the recipe as it is now, named like the file.

        Raises
        ------
        InputError
            If the file is there already and not from this editor, or its name is no recipe's name.
        """
        path = Path(path)
        if path.suffix not in (".yaml", ".yml"):
            raise InputError(f"{path}: a recipe is a .yaml file; change the name")
        if path.exists() and path.resolve() not in self._saved:
            raise InputError(f"{path}: exists already; choose another name")
        try:
            named = Recipe.model_validate(self.recipe.model_dump(mode="json") | {"name": path.stem})
        except ValidationError as error:
            raise InputError(f"{path}: {explained(error, Recipe)}") from error
        with atomic(path) as temporary:
            temporary.write_text(dump_recipe(named), encoding="utf-8", newline="\n")
        self._saved.add(path.resolve())
        return path

    def close(self) -> None:
        """End Blender and the widget."""
        self._preview.close()
        super().close()

    def _sections(self) -> Any:
        sections: dict[str, list[Any]] = {}
        for knob, slider in self.sliders.items():
            sections.setdefault(knob.section, []).append(slider)
        layout = {"width": "500px", "max_height": "640px", "overflow": "auto"}
        return widgets.Accordion(
            [widgets.VBox(sliders) for sliders in sections.values()], titles=tuple(sections), layout=layout
        )

    def _turn(self, knob: Knob, value: Any) -> None:
        numbers = tuple(value) if isinstance(value, tuple) else (value,)
        try:
            self.recipe = Recipe.model_validate(
                changed(self.recipe.model_dump(mode="json"), knob.place, knob.keys, numbers)
            )
        except ValidationError as error:
            self._say(
                f"{knob.section} {knob.name}: {explained(error, Recipe)}; the image shows the recipe before", wrong=True
            )
        else:
            self._show()

    def _show(self) -> None:
        self._say("rendering ...")
        try:
            self.rendered: RenderedImage = self._preview.image(self.recipe, self.scene.value, self.look.value)
        except (RenderError, InputError) as error:
            self._say(str(error), wrong=True)
            return
        self._draw()
        height, width = self.rendered.image.shape
        size = self.rendered.pixel_size_nm
        self._say(
            f"{count_words(self.rendered.labels.max(), 'particle')}, {width} x {height} px, {size:.4g} nm a pixel"
        )

    def _draw(self) -> None:
        pixels = np.repeat(np.rint(self.rendered.image * 255).astype(np.uint8)[..., None], 3, axis=2)
        if self.outlines.value:
            pixels[find_boundaries(self.rendered.labels, mode="inner")] = _OUTLINE
        self._picture.value = _png(pixels)
        if self._micrograph is not None:
            self._real.value = _png(np.rint(self._field(self._micrograph) * 255).astype(np.uint8))

    def _field(self, micrograph: Micrograph) -> npt.NDArray[np.float32]:
        """Return the middle of the micrograph, as much of the sample as the image shows."""
        zoom = 1.0 if micrograph.pixel_size_nm is None else self.rendered.pixel_size_nm / micrograph.pixel_size_nm
        middle = []
        for whole, side in zip(micrograph.pixels.shape, self.rendered.image.shape, strict=True):
            length = min(max(round(side * zoom), 1), whole)
            middle.append(slice((whole - length) // 2, (whole + length) // 2))
        return micrograph.pixels[tuple(middle)]

    def _save(self) -> None:
        try:
            self._say(f"saved {self.save(self.path.value)}")
        except InputError as error:
            self._say(str(error), wrong=True)

    def _say(self, text: str, *, wrong: bool = False) -> None:
        escaped = html.escape(text).replace("\n", "<br>")
        self._message.value = f"<span style='color:{'#D55E00' if wrong else 'inherit'}'>{escaped}</span>"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        bundle = super()._repr_mimebundle_(**options)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        return {**data, "image/png": base64.b64encode(self._picture.value).decode("ascii")}, metadata


def _png(pixels: npt.NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png", compress_level=1)
    return buffer.getvalue()


def _slider(knob: Knob) -> Any:
    """Return a slider that tells its value when it is let go; small numbers get small steps."""
    kind = widgets.FloatSlider if len(knob.value) == 1 else widgets.FloatRangeSlider
    return kind(
        value=knob.value[0] if len(knob.value) == 1 else knob.value,
        min=knob.low,
        max=knob.high,
        step=10.0 ** np.floor(np.log10(max(knob.high - knob.low, 1e-9) / 50)),
        description=knob.name,
        tooltip=f"{knob.section} {knob.name}",
        readout_format=".3g",
        continuous_update=False,
        style={"description_width": "180px"},
        layout={"width": _WIDTHS["knob"]},
    )
