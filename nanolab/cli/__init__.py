"""The command line: thin verbs over the library, one module a family of verbs.

What a verb needs is imported when it runs, so that help is quick.
"""

import signal  # noqa: I001
import sys
from io import TextIOWrapper

# imported for the verbs they add, which help lists in this order
from nanolab.cli import data, synthesis, training, measuring, analysing, benchmark, dashboard, notebooks, schema  # noqa: F401
from nanolab.cli.app import app

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names of files need not be UTF-8
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what is half-written is tidied up
    app()
