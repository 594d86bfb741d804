"""The page for those who open no notebook."""

from pathlib import Path
from typing import Annotated

import typer

from nanolab.cli.app import app

__all__ = ["dashboard"]


@app.command()
def dashboard(
    model: Annotated[
        list[Path], typer.Option("-m", "--model", help="Folder of a training, besides the network that ships; repeat.")
    ] = [],  # noqa: B006  # typer copies it
    host: Annotated[str, typer.Option(help="Where it listens; beyond localhost it asks for a token.")] = "localhost",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 5006,
    token: Annotated[
        str | None, typer.Option(envvar="NANOLAB_TOKEN", help="What visitors must know; made where it is needed.")
    ] = None,
    upload_mb: Annotated[float, typer.Option(min=1, help="Largest image file in MB.")] = 200,
) -> None:
    """Serve a page that measures particles in dropped images."""
    from nanolab.dashboard.server import serve_dashboard
    from nanolab.dashboard.session import Models

    def ready(url: str) -> None:
        typer.echo(f"open {url}  (Ctrl-C ends it)")

    serve_dashboard(Models(model), host=host, port=port, token=token or None, upload_mb=upload_mb, ready=ready)
