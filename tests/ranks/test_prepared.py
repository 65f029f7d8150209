"""What accelerate and Fabric have prepared, in two processes: control rollouts change nothing, to the bit."""

from pathlib import Path

import needs
import programs
import pytest

LOOPS = Path(__file__).parent / "prepared_loops.py"


@pytest.mark.parametrize(("name", "package"), [("accelerate", "accelerate"), ("fabric", "lightning.fabric")])
def test_two_processes_train_as_without_rollouts(name: str, package: str, tmp_path: Path) -> None:
    needs.package(package)
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = programs.run(*launch, LOOPS, name, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
