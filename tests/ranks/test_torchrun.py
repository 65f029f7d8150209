"""The example as a user starts it."""

from pathlib import Path

import programs

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "examples" / "distributed.py"


def test_two_processes_train_as_one(tmp_path: Path) -> None:
    told = []
    for start in (["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"], []):
        done = programs.run(*start, EXAMPLE, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        told.append([line.partition(" in ")[0] for line in done.stdout.splitlines()])  # without the seconds
    assert told[0] == told[1]  # rank 0 alone speaks, and says what one process says
    assert len(told[0]) == 6
