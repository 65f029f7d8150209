"""The tables to develop on, and nets for tables with devices of RealMLP."""

import hashlib
import sys
from pathlib import Path

import needs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(needs.ROOT / "benchmarks"))

import harness
import net_on_tables
import table_nets
import tables_apart

from gammatune.pipeline.models.tabular import WIDTH, Tabular

ALL = "scale6_ntk_unit_act_own_fall_plr10_hot9"


def is_even(name: str) -> bool:
    return hashlib.sha256(name.encode()).digest()[-1] % 2 == 0


def test_tables_to_develop_on_are_apart_from_those_that_judge() -> None:
    for table in tables_apart.listed():
        source, name = table["name"].split("/")
        assert is_even(name), table
        assert source == "keel" or is_even(table["name"]), table


def test_ten_to_choose_by_and_ten_others_to_report_on() -> None:
    tables = tables_apart.listed()
    assert len({table["name"] for table in tables}) == 20
    assert tables_apart.in_turns([{k: v for k, v in t.items() if k != "part"} for t in tables]) == tables
    for part in ("choose", "report"):
        tasks = [table["task"] for table in tables_apart.listed(part)]
        assert tasks.count("classification") == tasks.count("regression") == 5


def test_without_devices_it_is_the_present_net() -> None:
    torch.manual_seed(0)
    present = Tabular(5, 3, (4, 12))
    other = table_nets.make({}, (5,), 3, (4, 12))
    other.load_state_dict(present.state_dict())
    x = torch.cat([torch.randn(6, 3), torch.randint(4, (6, 2)).float()], dim=1)
    assert torch.equal(present.eval()(x), other.eval()(x))


@given(size=st.integers(1, 600), outputs=st.integers(1, 8))
@settings(max_examples=20, deadline=None)
def test_a_layer_in_ntk_parametrisation_is_a_scaled_linear_one(size: int, outputs: int) -> None:
    layer = table_nets.Linear(size, outputs, unit=False, last=False)
    x = torch.randn(4, size)
    plain = x @ layer.weight.T * (WIDTH / size) ** 0.5 + layer.bias
    assert torch.allclose(layer(x), plain, rtol=1e-4, atol=1e-4)


def test_columns_and_their_scales_change_places_together() -> None:
    scale = table_nets.Scale(5, 6.0)
    torch.nn.init.normal_(scale.moved)
    x, order = torch.randn(3, 5), torch.tensor([4, 2, 0, 1, 3])
    other = table_nets.Scale(5, 6.0)
    other.moved.data = scale.moved.data[order]
    assert torch.equal(other(x[:, order]), scale(x)[:, order])


def test_a_scale_moves_as_many_times_as_fast() -> None:
    scale = table_nets.Scale(2, 30.0)
    stepper = torch.optim.Adam(scale.parameters(), lr=1e-3)
    x = torch.ones(1, 2)
    scale(x).sum().backward()
    stepper.step()
    assert torch.allclose(scale(x), torch.full((1, 2), 1 - 30 * 1e-3), atol=1e-5)


@pytest.mark.parametrize("outputs", [1, 3])
def test_every_device_has_a_gradient_and_survives_saving(outputs: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    make = getattr(table_nets, ALL)
    net, other = (make(shape=(5,), outputs=outputs, cardinalities=(4, 12)) for _ in range(2))
    x = torch.cat([torch.randn(6, 3), torch.randint(4, (6, 2)).float()], dim=1)
    net(x).square().sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    torch.save(net.state_dict(), tmp_path / "net.pt")
    other.load_state_dict(torch.load(tmp_path / "net.pt", weights_only=True))
    assert torch.equal(net.eval()(x), other.eval()(x))


def test_dropout_falls_from_the_middle_on() -> None:
    assert [round(table_nets.flat_cos(at), 6) for at in (0, 0.5, 0.75, 1)] == [1, 1, 0.5, 0]


def test_ratios_are_of_seeds_that_both_have() -> None:
    cells = harness.Cells(None, "table", "method", "seed")
    for method, seed, error in (("a", 0, 0.2), ("a", 1, 0.9), ("b", 0, 0.1)):
        cells.put({"table": "t", "method": method, "seed": seed, "error": error})
    (ratio,) = net_on_tables.ratios(cells, [{"name": "t"}, {"name": "absent"}], "a", "b", "error")
    assert ratio == pytest.approx(2, rel=1e-4)


def test_an_interval_takes_three_tables() -> None:
    cells = harness.Cells(None, "table", "method", "seed")
    tables = [{"name": name, "task": "regression"} for name in "tuv"]
    for table in tables:
        for method, error in (("a", 0.2), ("b", 0.1)):
            key = {"table": table["name"], "method": method, "seed": 0}
            cells.put(key | {"error": error, "seconds": 1.0})
    row = net_on_tables.compared(cells, tables, "a", "b")
    assert row["all error"] == pytest.approx([3, 2, 2, 2], rel=1e-4)
    assert len(net_on_tables.compared(cells, tables[:2], "a", "b")["all error"]) == 2
    assert row["seconds"] == 1
    assert net_on_tables.compared(cells, tables, "a", "absent") == {}


@pytest.mark.parametrize("method", ["scale6+wd10+ls10+e5+b16+x150", "boosting", "linear"])
def test_a_cell(method: str, tmp_path: Path) -> None:
    rows = [f"{i % 7},{'abc'[i % 3]},{'yes' if i % 7 > 3 else 'no'}" for i in range(80)]
    (tmp_path / "keel-made.csv").write_text("\n".join(["x,c,target", *rows]))
    listed = {"keel/made": {"target": "target", "drop": [], "task": "classification"}}
    row = net_on_tables.compute(tmp_path, listed, "keel/made", 0, method)
    assert row["report"] == 16
    assert 0 <= row["error"] <= 1
    assert row["loss"] > 0
