"""Arrow's files, of either form, and what is damaged."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from gammatune.errors import InvalidData
from gammatune.pipeline.data.files.reading import read_table

FRAME = pd.DataFrame({"a": [1.5, None], "b": ["x", "é"], "c": [True, False], "d": pd.Categorical(["u", "v"])})


@pytest.mark.parametrize("ending", [".feather", ".arrow", ".ipc"])
def test_files_and_streams(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"t{ending}"
    FRAME.to_feather(path)
    pd.testing.assert_frame_equal(read_table(path, []).frame, FRAME)
    table = pa.Table.from_pandas(FRAME)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    pd.testing.assert_frame_equal(read_table(path, []).frame, FRAME)


@pytest.mark.parametrize("ending", [".feather", ".parquet"])
def test_what_is_cut_says_so(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"t{ending}"
    FRAME.to_feather(path) if ending == ".feather" else FRAME.to_parquet(path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InvalidData, match=r"that can be read .*; it may be cut: write it anew") as refused:
        read_table(path, [])
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("ending", [".feather", ".parquet"])
def test_text_that_stands_for_nothing_is_missing_and_bytes_are_text(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"t{ending}"
    frame = pd.DataFrame(
        {"a": ["x", "?", "n.a.", " ", ""], "n": ["1", "2", "?", "3", "4"], "b": [b"u", None] * 2 + [b"v"]}
    )
    frame.to_feather(path) if ending == ".feather" else frame.to_parquet(path)
    read = read_table(path, []).frame
    held = read.astype(object).where(read.notna(), None).to_dict("list")
    assert held == {
        "a": ["x", *[None] * 4],
        "n": ["1", "2", None, "3", "4"],
        "b": ["u", None, "u", None, "v"],
    }
