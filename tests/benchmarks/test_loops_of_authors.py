"""benchmarks/loops_of_authors.py in small."""

import json
from pathlib import Path

import programs

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "loops_of_authors.py"


def test_every_training_runs_by_its_author_and_by_us(tmp_path: Path) -> None:
    out = tmp_path / "loops.json"
    few = ("--small", "--seeds", "1", "--only", "language;vae;convolutions;muon;low rank", "--out", out)
    done = programs.run(SCRIPT, *few, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())
    assert found["ours"]["n"] == 5
    assert set(found["trainings"]) == {"language", "vae", "convolutions", "muon", "low rank"}
