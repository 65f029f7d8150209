"""Beginning with weights from elsewhere, and keeping parts of a network as they are."""

import copy
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

import gammatune
from gammatune.engine.modes import into_training
from gammatune.errors import InvalidArgument, JournalError, MissingExtra, ModelMismatch


def network(outputs: int = 3, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    features = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5))
    model = nn.Sequential()
    model.add_module("features", features)
    model.add_module("head", nn.Linear(8, outputs))
    return model


def blobs(n: int = 120, classes: int = 3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    return torch.tensor(rng.normal(size=(n, 4)) + 2 * y[:, None], dtype=torch.float32), torch.tensor(y)


def same(one: nn.Module, other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.state_dict().items())


def copied(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


# Weights ----------------------------------------------------------------------------------------------------


def _prefixed(state: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {f"{prefix}{name}": value for name, value in state.items()}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: {"state_dict": s, "epoch": 3},
        lambda s: {"model": s, "optimizer": {"state": {}, "param_groups": []}},
        lambda s: {"model": {"state_dict": s}},
        lambda s: {"model_state_dict": _prefixed(s, "module.")},
        lambda s: _prefixed(s, "module."),
        lambda s: _prefixed(s, "module._orig_mod."),
        lambda s: {"state_dict": _prefixed(s, "model.")},
        lambda s: {"n_averaged": torch.tensor(3)} | _prefixed(s, "module."),
        lambda s: {name: value for name, value in s.items() if not name.endswith("num_batches_tracked")},
    ],
    ids=["plain", "state_dict", "model", "nested", "ddp", "bare-ddp", "compiled", "lightning", "swa", "old"],
)
def test_weights_are_found_in_what_training_scripts_save(wrap: Any, tmp_path: Path) -> None:
    trained, model = network(seed=1), network()
    torch.save(wrap(trained.state_dict()), tmp_path / "w.pt")
    said = gammatune.load_weights(model, tmp_path / "w.pt")
    assert said == [f"The weights begin as {tmp_path / 'w.pt'} has them."]
    assert same(model, trained.state_dict())


def test_a_network_whose_own_names_begin_like_a_wrapper() -> None:
    trained, model = nn.Sequential(), nn.Sequential()
    trained.add_module("model", network(seed=1))
    model.add_module("model", network())
    gammatune.load_weights(model, trained.state_dict())
    assert same(model, trained.state_dict())


def test_another_number_of_classes_leaves_the_last_layer_new_and_says_so() -> None:
    trained, model = network(5, seed=1), network(3)
    before = copied(model)
    (said,) = gammatune.load_weights(model, trained.state_dict())
    assert said == (
        "The weights begin as the state_dict has them; the last layer (head) begins anew, with 3 outputs, 5 in "
        "the file."
    )
    assert torch.equal(model.head.weight, before["head.weight"])  # type: ignore[union-attr]
    assert torch.equal(model.features[0].weight, trained.features[0].weight)  # type: ignore[union-attr, index]

    model = network(5)
    (said,) = gammatune.load_weights(model, trained.state_dict(), new_head=True)
    assert said.endswith("the last layer (head) begins anew, for other targets.")
    assert not torch.equal(model.head.bias, trained.head.bias)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (
            lambda s: s.pop("features.1.bias"),
            ModelMismatch,
            "lacks features.1.bias; make the model as it was",
        ),
        (lambda s: s.update(extra=torch.ones(1)), ModelMismatch, "has extra, which the model has not"),
        (
            lambda s: s.update({"features.0.weight": torch.ones(8, 5)}),
            ModelMismatch,
            r"has features.0.weight of shape \(8, 5\), the model \(8, 4\); only the last layer may differ",
        ),
        (
            lambda s: s.update({"head.weight": torch.ones(3, 9)}),
            ModelMismatch,
            r"has head.weight of shape \(3, 9\)",
        ),
        (
            lambda s: [s.update({f"x.{k}": s.pop(k)}) for k in list(s)],
            ModelMismatch,
            "fits nothing of the model: it holds x.features.0.weight, x.features.0.bias, .* and 6 more",
        ),
        (
            lambda s: s["features.0.weight"].fill_(float("nan")),
            InvalidArgument,
            "holds NaN or infinity in feat",
        ),
        (lambda s: s.clear(), InvalidArgument, "holds no weights by name, only nothing"),
    ],
)
def test_what_does_not_fit_is_refused_and_the_model_left_alone(spoil: Any, error: type, words: str) -> None:
    model = network()
    before, state = copied(model), copied(network(seed=1))
    spoil(state)
    with pytest.raises(error, match=words) as raised:
        gammatune.load_weights(model, state)
    assert "\n" not in str(raised.value)
    assert same(model, before)


NAMES = list(network().state_dict())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    dropped=st.sets(st.sampled_from(NAMES)),
    renamed=st.sets(st.sampled_from(NAMES)),
    grown=st.sampled_from([0, 2]),
)
def test_weights_are_loaded_whole_or_not_at_all(dropped: set[str], renamed: set[str], grown: int) -> None:
    model, state = network(), copied(network(3 + grown, seed=1))
    before = copied(model)
    state = {(f"other.{k}" if k in renamed else k): v for k, v in state.items() if k not in dropped}
    try:
        gammatune.load_weights(model, state)
    except (ModelMismatch, InvalidArgument):
        assert same(model, before)
        return
    weights = {name for name in NAMES if not name.endswith("num_batches_tracked")}
    assert not (dropped | renamed) & (weights - {"head.weight", "head.bias"} if grown else weights)
    for name in weights:
        fresh = grown and name.startswith("head")
        assert torch.equal(model.state_dict()[name], before[name] if fresh else state[name])


class Foreign:
    """An object that a file of weights has no business to hold."""


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no weights at all", "cannot be read as weights"),
        (b"", "cannot be read as weights"),
        ([1, 2], "holds a list, no weights by name"),
        ({"epoch": 3}, "holds no weights by name, only epoch"),
        (Foreign(), "cannot be read as weights"),
    ],
)
def test_files_that_are_no_weights(content: Any, words: str, tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(InvalidArgument, match=words) as raised:
        gammatune.load_weights(network(), path)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_a_directory_and_a_flipped_bit(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="there is no file"):
        gammatune.load_weights(network(), tmp_path / "none.pt")
    with pytest.raises(InvalidArgument, match="is a directory; name the file"):
        gammatune.load_weights(network(), tmp_path)
    path = tmp_path / "w.pt"
    torch.save(network(seed=1).state_dict(), path)
    whole = bytearray(path.read_bytes())
    at = whole.find(network(seed=1).features[0].weight.detach().numpy().tobytes())  # type: ignore[union-attr, index]
    whole[at + 2] ^= 1
    path.write_bytes(whole)
    with pytest.raises(InvalidArgument, match="is not what was written"):
        gammatune.load_weights(network(), path)


def test_safetensors_where_the_package_is_there_and_where_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "w.safetensors"
    with pytest.raises(InvalidArgument, match="there is no file"):
        gammatune.load_weights(network(), path)
    trained = network(seed=1)
    path.write_bytes(b"in a format of its own")
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    with pytest.raises(MissingExtra, match="pip install safetensors"):
        gammatune.load_weights(network(), path)
    stand_in = types.ModuleType("safetensors.torch")
    stand_in.load_file = lambda _: trained.state_dict()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "safetensors", types.ModuleType("safetensors"))
    monkeypatch.setitem(sys.modules, "safetensors.torch", stand_in)
    model = network()
    gammatune.load_weights(model, path)
    assert same(model, trained.state_dict())


# Freezing ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", ["features.*", "features", "feat*", "[!h]*"])
def test_patterns_and_modules_names(pattern: str) -> None:
    model = network()
    frozen = gammatune.freeze(model, pattern)
    assert frozen == ["features.0.weight", "features.0.bias", "features.1.weight", "features.1.bias"]
    assert [name for name, p in model.named_parameters() if p.requires_grad] == ["head.weight", "head.bias"]
    assert not any(part.training for part in model.features.modules())  # type: ignore[union-attr]
    assert model.training
    assert model.head.training  # type: ignore[union-attr]


def test_a_part_that_is_frozen_in_part_keeps_its_mode() -> None:
    model = network()
    gammatune.freeze(model, "features.0.*")
    assert model.features[1].training  # type: ignore[union-attr, index]
    assert model.features[3].training  # type: ignore[union-attr, index]


@pytest.mark.parametrize(
    ("patterns", "words"),
    [
        (["feature.*"], "'feature.*' names none of the model's 6 parameters; it has features"),
        (["zzz"], "it has features, head"),
        (["features", "heads"], "'heads' names none"),
        (["*"], r"freezing '\*' leaves nothing of the model to train; leave out its last layer, head"),
        (["features", "head"], "leaves nothing"),
        ([], "freeze needs the names"),
    ],
)
def test_patterns_that_are_refused_freeze_nothing(patterns: list[str], words: str) -> None:
    model = network()
    with pytest.raises(InvalidArgument, match=words):
        gammatune.freeze(model, *patterns)
    assert all(p.requires_grad for p in model.parameters())
    assert all(part.training for part in model.modules())


@pytest.mark.parametrize("mode", ["train", "eval", "a copy"])
def test_what_is_frozen_stays_to_the_bit_through_forks_averages_and_scores(mode: str) -> None:
    model = network()
    gammatune.freeze(model, "features")
    if mode == "eval":
        model.eval()  # as whoever looked at it before may leave it
    if mode == "a copy":
        model = copy.deepcopy(model).eval()
    before = copied(model)
    modes: set[bool] = set()
    model.features[1].register_forward_hook(  # type: ignore[union-attr, index]
        lambda module, *_: modes.add(module.training or model.features[3].training)  # type: ignore[union-attr, index]
    )
    x, y = blobs()
    result = gammatune.fit(model, (x, y), epochs=20, budget=8, batch_size=16, seed=1)
    assert any(o.order for o in result.rollouts)  # averages of several trainings are among them
    assert modes == {False}
    after = model.state_dict()
    for name in before:
        assert torch.equal(after[name], before[name]) == name.startswith("features"), name
    assert "Of the model, 27 of 83 parameters are trained." in result.said
    assert any("since the model is pretrained" in sentence for sentence in result.said)


def test_what_is_thawed_trains_again() -> None:
    model = network()
    gammatune.freeze(model, "features")
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    model.train()
    into_training(model)
    assert all(part.training for part in model.modules())


# The range, and the start -----------------------------------------------------------------------------------


def _range(said: tuple[str, ...]) -> str:
    return next(sentence for sentence in said if sentence.startswith("The learning rate is searched"))


def test_the_range_is_about_the_users_own_rate() -> None:
    def said(**more: Any) -> str:
        return _range(gammatune.fit(network(), blobs(30), epochs=1, **more).said)

    assert said() == "The learning rate is searched from 1e-06 to 10."
    assert said(lr=1e-4) == "The learning rate is searched from 3.2e-06 to 0.0032, 3 decades around 0.0001."
    assert said(pretrained=True).endswith("3 decades around 0.000548 since the model is pretrained.")
    model = network()
    own = torch.optim.SGD(model.parameters(), lr=0.01)
    sentence = _range(gammatune.fit(model, blobs(30), epochs=1, optimizer=own, pretrained=True).said)
    assert "from 0.00032 to 0.32, 3 decades around 0.01" in sentence
    with pytest.raises(InvalidArgument, match="lr= goes with an optimizer given by name"):
        gammatune.fit(model, blobs(30), epochs=1, optimizer=own, lr=0.1)
    for wrong in (0, -1.0, float("nan"), float("inf"), "1e-3"):
        with pytest.raises(InvalidArgument, match="give a finite number above 0"):
            gammatune.fit(network(), blobs(30), epochs=1, lr=wrong)  # type: ignore[arg-type]


def test_no_rollout_leaves_the_narrow_range() -> None:
    result = gammatune.fit(network(), blobs(), epochs=20, lr=1e-3, batch_size=8)
    rates = [o.values["lr"] for o in result.rollouts]
    assert {"survey", "miniature", "course"} <= {o.role for o in result.rollouts}
    assert min(rates) >= 3.1e-5
    assert max(rates) <= 0.032


@pytest.fixture(scope="module")
def trained() -> dict[str, torch.Tensor]:
    model = network()
    gammatune.fit(model, blobs(300), epochs=12, batch_size=16)
    return copied(model)


@pytest.mark.parametrize("keep", ["best", "last"])
def test_where_no_epoch_is_better_the_start_is_handed_back(
    trained: dict[str, torch.Tensor], keep: str, tmp_path: Path
) -> None:
    model = network(seed=5)
    gammatune.load_weights(model, trained)
    x, y = blobs(90, seed=1)
    wrong = (y + 1) % 3  # what is learned from these is worse than nothing
    arguments: dict[str, Any] = {"epochs": 4, "batch_size": 8, "pretrained": True, "lr": 0.1, "keep": keep}
    arguments |= {"test_set": blobs(90, seed=2), "run_dir": str(tmp_path / "run")}
    result = gammatune.fit(model, (x, wrong), blobs(60, seed=3), **arguments)
    assert result.start is not None
    assert result.report is not None
    told = result.said[-1]
    assert told.startswith("No epoch was better than the weights the model came with (kappa ")
    weights = torch.load(tmp_path / "run" / "weights.pt", weights_only=True)
    assert same(model, weights)
    assert result.is_start == (keep == "best")
    if keep == "best":
        assert told.endswith("they are handed back.")
        assert same(model, trained)
        assert result.metrics == result.start
        assert result.report.accuracy > 0.8
    else:
        assert told.endswith('but keep="last" was asked for.')
        assert result.metrics == result.course[-1].metrics
        assert result.report.accuracy < 0.7  # that of the start is above 0.8; the guard holds up the fall
    journal = (tmp_path / "run" / "journal.jsonl").read_text()
    assert journal.count("No epoch was better") == 1

    again = network(seed=5)  # the run is complete: the same call tells it once more
    gammatune.load_weights(again, trained)
    repeated = gammatune.fit(again, (x, wrong), blobs(60, seed=3), **arguments)
    assert repeated.is_start == result.is_start
    assert same(again, copied(model))
    assert (tmp_path / "run" / "journal.jsonl").read_text().count("No epoch was better") == 1


def test_a_pretrained_net_is_never_burnt(trained: dict[str, torch.Tensor]) -> None:
    for seed in range(3):
        model = network(seed=5)
        gammatune.load_weights(model, trained)
        result = gammatune.fit(
            model,
            blobs(30, seed=seed),
            blobs(30, seed=9),
            epochs=6,
            pretrained=True,
            objective="loss",
            seed=seed,
        )
        assert result.start is not None
        assert result.metrics["loss"] <= result.start["loss"]


def test_looking_at_the_start_moves_no_random_stream(trained: dict[str, torch.Tensor]) -> None:
    rates = []
    for pretrained in (True, False):
        model = network(seed=5)
        gammatune.load_weights(model, trained)
        result = gammatune.fit(
            model, blobs(60), epochs=2, batch_size=8, space="lr=1e-4:1e-1:log", pretrained=pretrained
        )
        rates.append([(o.values["lr"], o.metrics) for o in result.rollouts])
    assert rates[0] == rates[1]


def test_a_run_is_gone_on_with_by_the_same_weights_only(tmp_path: Path) -> None:
    def begin(fact: str) -> None:
        facts = {"weights": fact}
        gammatune.fit(network(), blobs(30), epochs=1, run_dir=str(tmp_path / "run"), facts=facts)

    begin("a.pt (sha256 0123)")
    begin("a.pt (sha256 0123)")
    with pytest.raises(JournalError, match=r"weights='b.pt \(sha256 4567\)' is asked for now"):
        begin("b.pt (sha256 4567)")
