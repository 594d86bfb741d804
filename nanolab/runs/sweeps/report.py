"""A page about a sweep: an executed notebook with tables and figures, and the same as HTML."""

import shutil
from pathlib import Path

from nanolab.core.files import atomic, output_folder
from nanolab.runs import notebook
from nanolab.runs.sweeps.table import sweep_folder

__all__ = ["report_sweep"]

_NOTEBOOK = Path(__file__).with_name("report.ipynb")
_PAGE = Path(__file__).with_name("report.html").read_text(encoding="utf-8")


def report_sweep(
    sweep: Path | str, *, root: Path = Path("papermill_runs"), to: Path | None = None, progress: bool = False
) -> Path:
    """Write a page about a sweep into `report/` in its folder, and return the HTML file.

    It has the outcome of every run, means over the seeds, and each result against what was varied. Next to it lie the
    notebook it comes from, `table.csv` and `means.csv`, and the figure.

    Parameters
    ----------
    sweep
        The sweep's name or its folder.
    root
        Where sweeps are kept.
    to
        A folder that gets copies of the tables and the figure.
    progress
        Show a bar over the cells.

    Raises
    ------
    InputError
        If no such sweep was started.
    """
    folder = sweep_folder(sweep, root)
    from nbconvert import HTMLExporter  # after the check: it takes its time

    run = notebook.run(
        _NOTEBOOK, {"sweep": folder.as_posix()}, name=folder.name, run="report", root=folder.parent, progress=progress
    )
    # no script from elsewhere: the page opens without a network, and tells nobody that it was opened
    exporter = HTMLExporter(
        template_name="basic", exclude_input=True, exclude_input_prompt=True, exclude_output_prompt=True
    )
    body, _ = exporter.from_filename(str(run / f"{folder.name}.ipynb"))
    with atomic(run / "report.html") as temporary:
        temporary.write_text(_PAGE.format(title=folder.name, body=body), encoding="utf-8")
    for name in ("table.csv", "means.csv", "results.png"):
        if to is not None and (run / name).exists():
            with atomic(output_folder(to) / name) as temporary:
                shutil.copyfile(run / name, temporary)
    return run / "report.html"
