"""A process that ends at once after a collective."""

import subprocess
import sys
from pathlib import Path

# The interpreter is taken from no thread by force, so that one of gloo's still waits for it when the process ends.
PROGRAM = """
import sys
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
import gammatune

sys.setswitchinterval(100)
rank, meeting = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo", init_method="file://" + meeting, rank=rank, world_size=2)
torch.manual_seed(0)
model = DistributedDataParallel(nn.Linear(4, 1))  # holds the group, whose threads outlive it therefore
tuner = gammatune.Tuner(model=model, optimizer=torch.optim.SGD(model.parameters(), lr=0.1), epochs=1)
for _ in range(20):
    dist.all_reduce(torch.zeros(4))
dist.destroy_process_group()
"""


def test_no_process_is_ended_by_a_thread_that_still_holds_what_a_collective_held(tmp_path: Path) -> None:
    statuses = []
    for attempt in range(2):  # without the wait at the end three pairs in four are aborted
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(rank), str(tmp_path / f"meeting-{attempt}")],
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank in range(2)
        ]
        said = [process.communicate(timeout=120)[1] for process in processes]
        statuses += [process.returncode for process in processes]
    assert not any(statuses), (statuses, said)
