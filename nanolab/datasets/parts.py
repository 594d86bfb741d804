"""What a dataset under construction keeps of each image until its tables are merged."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from nanolab.core.checks import InputError
from nanolab.core.files import atomic, sha256

__all__ = ["Part", "matches", "read_table", "write_table"]


@dataclass(frozen=True)
class Part:
    """The particle rows of one image, the hashes of its files, and the record of what was drawn for it.

    Attributes
    ----------
    rows
        One row per particle, the column `image` in front.
    files
        SHA-256 of each file by its path within the dataset.
    record
        Anything JSON can hold, or None.
    """

    rows: pa.Table
    files: dict[str, str]
    record: Any

    @classmethod
    def of(
        cls, name: str, particles: pd.DataFrame | None, files: dict[str, str], record: Mapping[str, Any] | None
    ) -> "Part":
        """Make the part of the image `name`."""
        rows = pd.DataFrame() if particles is None else particles.drop(columns="image", errors="ignore")
        rows.insert(0, "image", pd.Series([name] * len(rows), index=rows.index, dtype=str))
        return cls(pa.Table.from_pandas(rows, preserve_index=False).replace_schema_metadata(), files, record)

    @classmethod
    def read(cls, path: Path) -> "Part | None":
        """Read a part; None if it is not there or not whole."""
        try:
            table = read_table(path)
            state = json.loads((table.schema.metadata or {})[b"state"])
            return cls(table.replace_schema_metadata(), dict(state["files"]), state["record"])
        except (InputError, KeyError, TypeError, ValueError):
            return None

    def write(self, path: Path) -> None:
        """Write the part, atomically."""
        state = json.dumps({"files": self.files, "record": self.record}, allow_nan=False)
        write_table(path, self.rows.replace_schema_metadata({"state": state}))

    def agrees(self, folder: Path) -> bool:
        """Tell whether the files in the dataset's folder are those the part was written for."""
        return all(matches(folder / name, digest) for name, digest in self.files.items())


def matches(path: Path, digest: str | None) -> bool:
    """Tell whether a file is there and has this SHA-256."""
    return digest is not None and path.is_file() and sha256(path) == digest


def write_table(path: Path, table: pa.Table) -> None:
    """Write a table as parquet, atomically; the same table gives the same bytes."""
    sink = pa.BufferOutputStream()  # PyArrow takes no path that is not UTF-8
    pq.write_table(table, sink)
    with atomic(path) as temporary:
        temporary.write_bytes(sink.getvalue())


def read_table(path: Path) -> pa.Table:
    """Read a table from a parquet file.

    Raises
    ------
    InputError
        If it is missing, cut short or damaged.
    """
    try:
        # threads of Arrow that are alive when Python ends abort the process (github.com/apache/arrow/issues/34314)
        return pq.ParquetFile(pa.BufferReader(path.read_bytes()), pre_buffer=False).read(use_threads=False)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise InputError(f"{path}: not a readable table ({str(error)[:200]}); make the dataset again") from error
