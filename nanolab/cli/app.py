"""What all verbs share: the application, its exit codes and messages, and options that several verbs have."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from nanolab import __version__
from nanolab.core.checks import InputError, check_between
from nanolab.core.processes import worker_count

if TYPE_CHECKING:
    from nanolab.images.scale_table import ScaleTable

__all__ = [
    "FindScaleBar",
    "Parameters",
    "PixelSizeNm",
    "Recursive",
    "Scales",
    "Settings",
    "Verb",
    "Workers",
    "app",
    "data",
    "ended",
    "failing",
    "pairs",
    "report_errors",
    "say_unused",
    "typed_scales",
]

_PAIRS = ("-p", "--parameter", "--set")
_DOES_THE_REST = "what is finished stays; the same command again does the rest"
_GO_ON = {
    **dict.fromkeys(("render", "cutpaste", "sweep", "data", "analyse", "benchmark"), _DOES_THE_REST),
    "segment": "the same command with --resume does the rest",
    "train": "the same command with --resume goes on after the last finished epoch",
    "run": "the same command with --run-name and the name of its folder goes on there",
}


class _Verbs(TyperGroup):
    """Ends with a message and an exit code where Python would print a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except InputError as error:
            raise ended(f"error: {error}", 2) from error
        except KeyboardInterrupt as error:
            hint = _GO_ON.get(ctx.invoked_subcommand, "the same command again starts from the beginning")
            raise ended(f"\nstopped: {hint}", 130) from error


class Verb(TyperCommand):
    """Takes `-p name value` next to `-p name=value`, for typer repeats only options of one value, and no NaN."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: D102
        rest = super().parse_args(ctx, list(_joined(args)))
        for name, given in ctx.params.items():
            for value in given if isinstance(given, list) else [given]:
                if isinstance(value, float) and not math.isfinite(value):  # which no range keeps out
                    raise InputError(f"--{name.replace('_', '-')}: must be a finite number, got {value}")
        return rest

    def invoke(self, ctx: Any) -> Any:  # noqa: D102
        try:
            return super().invoke(ctx)
        except InputError as error:
            raise InputError(self._as_typed(str(error))) from error

    def _as_typed(self, message: str) -> str:
        """Begin with the option where the message begins with the parameter of that name, in whatever unit."""
        typed = {each.name: each.opts[-1] for each in self.params if each.param_type_name == "option"}
        named = re.match(r"(\w+?)(_nm|_px)?(?=:| must )", message)
        option = named and (typed.get(named[0]) or typed.get(named[1]))
        return f"{option}{message[named.end() :]}" if named and option else message


def _joined(words: list[str]) -> Iterator[str]:
    rest = iter(words)
    for word in rest:
        yield word
        if word in _PAIRS:
            name = next(rest, "")
            yield name if "=" in name else "=".join([name, *islice(rest, 1)])


def ended(message: str, code: int) -> typer.Exit:
    """Write the message, and return what ends the process with that exit code when raised."""
    typer.echo(message, err=True)
    return typer.Exit(code)


@contextmanager
def failing(kind: type[Exception]) -> Iterator[None]:
    """Report what is neither a bug nor the user's mistake without a traceback, with exit code 1."""
    try:
        yield
    except kind as error:
        raise ended(f"failed: {error}", 1) from error


def report_errors(errors: Mapping[str, str], of: str) -> None:
    """End with exit code 2 and a list if some of many files could not be used."""
    if errors:
        raise ended("\n".join([f"error: {len(errors)} of the {of} could not be used:", *errors.values()]), 2)


def pairs(texts: list[str]) -> dict[str, str]:
    """Return the names and values of options such as `-p name=value`."""
    if wrong := [text for text in texts if "=" not in text]:
        raise InputError(f"{wrong[0]}: needs a name and a value, got the name alone")
    return dict(text.split("=", 1) for text in texts)


class _App(typer.Typer):
    """Makes each verb a `Verb`."""

    def command(self, name: str | None = None, **options: Any) -> Callable[[Any], Any]:
        return super().command(name, **{"cls": Verb, **options})


app = _App(cls=_Verbs, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
data = _App(no_args_is_help=True, help="Public annotated micrographs: what there is, and getting it.")
app.add_typer(data, name="data")

Parameters = Annotated[
    list[str], typer.Option("-p", "--parameter", metavar="NAME VALUE", help="Set a parameter; repeat.")
]
Settings = Annotated[list[str], typer.Option("--set", metavar="KEY VALUE", help="Change a setting; repeat.")]


def _pixel_size(value: float | None) -> float | None:
    if value is not None:
        check_between(value, "--pixel-size-nm", 1e-4, 1e6)
    return value


def _workers(value: int | None) -> int | None:
    return None if value is None else worker_count(value, "--workers")


Workers = Annotated[int | None, typer.Option(callback=_workers, help="How many work side by side here.")]
PixelSizeNm = Annotated[
    float | None, typer.Option(callback=_pixel_size, help="Edge of a pixel in nm, over what the files say.")
]
Scales = Annotated[
    Path | None,
    typer.Option(metavar="CSV", help="Edges of the pixels of each image: a table with columns image and nm per px."),
]
FindScaleBar = Annotated[
    bool, typer.Option("--find-scale-bar", help="Read the scale bar in the picture where a file has no pixel size.")
]
Recursive = Annotated[bool, typer.Option("-r", "--recursive", help="Also look into the folders of folders.")]


def typed_scales(pixel_size_nm: float | None, scales: Path | None) -> "float | ScaleTable | None":
    """Return what the two options say of pixel sizes: one for all, or one by the name of the image."""
    from nanolab.images.scale_table import read_scales

    if scales is not None and pixel_size_nm is not None:
        raise InputError(f"--scales: {scales} gives each image its own pixel size; leave out --pixel-size-nm")
    return pixel_size_nm if scales is None else read_scales(scales)


def say_unused(scales: "float | ScaleTable | None") -> None:
    """Say which names in a table of scales no image has; they may be mistyped."""
    from nanolab.images.scale_table import ScaleTable

    if isinstance(scales, ScaleTable) and scales.unused:
        typer.echo(f"note: --scales names what is no image here: {', '.join(scales.unused)}", err=True)


def _version(show: bool) -> None:
    if show:
        typer.echo(f"nanolab {__version__}")
        raise typer.Exit


@app.callback()
def nanolab(
    *, version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False
) -> None:
    """From a real micrograph to its particle size distribution: render, train, segment, measure."""
