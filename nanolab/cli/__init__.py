"""The command line: thin verbs over the library, one module a family of verbs.

What a verb needs is imported when it runs, so that help is quick.
"""

# imported for the verbs they add, which help lists in this order
from nanolab.cli import data, synthesis, training, measuring, dashboard, notebooks, schema  # noqa: F401, I001
from nanolab.cli.app import app

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line."""
    app()
