"""Files that are no notebook, or a damaged one, are refused by name."""

import json
from pathlib import Path
from typing import Any

import pytest

from nanolab.core.checks import InputError
from nanolab.runs.fingerprints import notebook_fingerprint
from nanolab.runs.parameters import notebook_parameters


def notebook(source: Any, **changes: Any) -> dict[str, Any]:
    cell = {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": source}
    return {"nbformat": 4, "cells": [{**cell, **changes}]}


DAMAGED = {
    "a list": [],
    "cells that are a number": {"nbformat": 4, "cells": 3},
    "a cell that is a text": {"nbformat": 4, "cells": ["a = 1"]},
    "tags that are a number": notebook("a = 1", metadata={"tags": 3}),
    "metadata that are a list": notebook("a = 1", metadata=[]),
    "lines that are numbers": notebook([1, 2]),
    "a null character": notebook("a = '\0'"),
    "ten thousand brackets": notebook("a = " + "[" * 10_000 + "]" * 10_000),
    "a hundred brackets": notebook("a = " + "[" * 100 + "]" * 99),
    "ten thousand minus signs": notebook("a = " + "-" * 10_000 + "1"),
    "a key that is a list": notebook("a = {[]: 1}"),
    "a number of five thousand digits": notebook("a = " + "9" * 5000),
    "a computed value": notebook("a = 1\nb = a + 1"),
    "a value for two names": notebook("a, b = 1, 2"),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_notebook_is_refused_by_name(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "mine.ipynb"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match=r"mine\.ipynb"):
        notebook_parameters(path)


def test_code_is_what_a_fingerprint_is_of(tmp_path: Path) -> None:
    one, two, three = (tmp_path / f"{name}.ipynb" for name in "abc")
    text = {"cell_type": "markdown", "metadata": {}, "source": "words"}
    one.write_text(json.dumps(notebook("a = 1\nb = 2")))
    two.write_text(json.dumps({"nbformat": 4, "cells": [text, *notebook(["a = 1\n", "b = 2"])["cells"]]}))
    three.write_text(json.dumps(notebook("a = 1\nb = 3")))
    assert notebook_fingerprint(one) == notebook_fingerprint(two) != notebook_fingerprint(three)


def test_outputs_of_a_saved_notebook_may_hold_nan(tmp_path: Path) -> None:
    content = notebook("a = 1")
    content["cells"][0]["outputs"] = [{"output_type": "display_data", "metadata": {}, "data": {"x": float("nan")}}]
    (tmp_path / "a.ipynb").write_text(json.dumps(content))
    assert notebook_parameters(tmp_path / "a.ipynb") == {"a": 1}
