"""The default image net against real data: quick, and good enough to be a default."""

import torch
from torch import nn

from gammatune.pipeline.data import load
from gammatune.pipeline.data.split import split_data
from gammatune.pipeline.models import make_model


def test_more_than_975_of_1000_in_ten_epochs() -> None:
    """SGD, momentum .9, batch 32, LR .1 falling to 0: 98.3, 98.3 and 98.6 % with seeds 0 to 2, 1.3 s each."""
    split = split_data(load("digits"), seed=0)
    model = make_model("auto", split.shape, split.outputs, seed=0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    steps = 10 * -(-len(split.train.x) // 32)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    for _ in range(10):
        for batch in torch.randperm(len(split.train.x)).split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(split.train.x[batch]), split.train.y[batch]).backward()
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        right = model.eval()(split.report.x).argmax(1) == split.report.y
    assert right.float().mean().item() > 0.975
