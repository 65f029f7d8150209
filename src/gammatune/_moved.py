"""Where the modules of earlier versions lie now.

Whoever imports an old path, unpickles what was pickled under it, or patches something there, gets the module of the
new path itself, with a DeprecationWarning that names it. `import gammatune` makes the table and loads nothing.
"""

import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

# Below `gammatune`. A package brings all that is in it.
MOVED = {
    "acquisition": "surrogate.acquisition",
    "asked": "pipeline.options",
    "cards": "tuning.notebook",
    "checkpoints": "tuning.checkpoints",
    "cli.export": "cli.app",
    "cli.report": "cli.app",
    "command": "pipeline.train",
    "continuing": "tuning.resume",
    "crew": "tuning.executor",
    "crew.ray": "tuning.ray_executor",
    "crew.stacked": "supervised.vmap_executor",
    "data": "pipeline.data",
    "doctor_command": "cli.doctor",
    "driver": "tuning.driver",
    "engine.archive": "engine.forks.archive",
    "engine.averaging": "engine.forks.averaging",
    "engine.capacity": "engine.device_memory",
    "engine.fresh": "supervised.fresh",
    "engine.gang": "engine.process_group",
    "engine.muon": "supervised.muon",
    "engine.optimizers": "supervised.optimizers",
    "engine.reach": "engine.doctor.object_graph",
    "engine.sentinel": "engine.divergence",
    "engine.shards": "engine.forks.sharding",
    "engine.snapshot": "engine.forks.snapshot",
    "engine.stacked": "supervised.stack",
    "engine.steering": "engine.hyperparameters",
    "engine.streams": "engine.forks.streams",
    "engine.supervised": "supervised.training",
    "engine.threads": "pipeline.threads",
    "engine.torch_loop": "engine.loop",
    "engine.transfer": "engine.forks.transfer",
    "events": "journal.events",
    "examination": "engine.doctor.doctor",
    "examples": "supervised.loaders",
    "export_command": "cli.app",
    "exporting": "pipeline.export",
    "fields": "journal.fields",
    "fine_tuning": "pipeline.start",
    "fitting": "supervised.fit",
    "flat": "journal.table",
    "freezing": "supervised.pretrained",
    "integrations.following": "integrations.callbacks",
    "judging": "pipeline.table_diagnostics",
    "leaving": "pipeline.artifacts",
    "ledger": "cost",
    "lineage": "tuning.states",
    "loading": "pipeline.load",
    "locking": "journal.lock",
    "measures": "metrics",
    "models": "pipeline.models",
    "objectives": "metrics.objectives",
    "permuting": "metrics.permutation_importance",
    "pictures": "pipeline.pictures",
    "policy.agreed": "tuning.rank_zero",
    "policy.course": "policy.trial",
    "policy.looking": "policy.looks",
    "policy.memory": "policy.batch_sizes",
    "policy.purse": "policy.budget",
    "prediction": "pipeline.predict",
    "preparing": "pipeline.prepare",
    "ranks": "engine.ranks",
    "rehearsal": "supervised.dry_run",
    "repeating": "tuning.replay",
    "report.charts": "report.html.svg",
    "report.comparison": "report.html.comparison",
    "report.figures": "report.html.figures",
    "report.findings": "report.predictions",
    "report.lanes": "report.html.timeline",
    "report.looks": "report.html.looks",
    "report.older": "report.html.older",
    "report.page": "report.html.page",
    "report.screen": "report.terminal",
    "report.surfaces": "report.html.posterior",
    "report.words": "report.wording",
    "report_command": "cli.app",
    "reproduce_command": "cli.reproduce",
    "rivals": "metrics.baselines",
    "rules": "supervised.defaults",
    "run": "tuning.run",
    "samplers.plugin": "samplers.thesis_gamma",
    "samplers.wrap": "samplers.combinators",
    "signals": "tuning.signals",
    "story": "journal.history",
    "tracking": "journal.tracker",
    "tuner": "tuning.tuner",
    "weights": "supervised.weights",
}
# Of a package that was taken apart `from gammatune.old import part` asks by the new name of the whole.
PARTS = {
    "tuning.executor.ray": "tuning.ray_executor",
    "tuning.executor.stacked": "supervised.vmap_executor",
}
# Of what lies in them, what is called otherwise now: under an old path it goes by its old name too.
NAMES = {"Crew": "Executor", "RayCrew": "RayExecutor", "StackedCrew": "StackedExecutor"}


def place_of(name: str) -> str | None:
    """The new path of an old one, or of what lies in it; None where nothing has moved."""
    inner, rest = name.removeprefix("gammatune."), ""
    while inner:
        found = MOVED.get(inner) or PARTS.get(inner)
        if found is not None:
            return f"gammatune.{found}{rest}"
        inner, _, last = inner.rpartition(".")
        rest = f".{last}{rest}"
    return None


class Loader:
    def __init__(self, place: str) -> None:
        self.place = place

    def create_module(self, spec: ModuleSpec) -> None:
        return None  # one as any other, which makes room at once

    def exec_module(self, module: ModuleType) -> None:
        moved = importlib.import_module(self.place)
        if module.__name__.removeprefix("gammatune.") not in PARTS:  # of whose whole it was said
            warnings.warn(f"{module.__name__} is {self.place} now", DeprecationWarning, stacklevel=2)
        if any(part.startswith(self.place.removeprefix("gammatune.") + ".") for part in PARTS):
            moved.__path__ = []  # a package for the import system, which asks for its parts then
        for old, new in NAMES.items():
            if new in vars(moved):
                setattr(moved, old, getattr(moved, new))
        sys.modules[module.__name__] = moved


class Finder:
    """Is asked before others: they would load what lies in a moved package a second time, under its old name."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        place = place_of(name) if name.startswith("gammatune.") else None
        if place is None:
            return None
        return ModuleSpec(name, Loader(place))  # type: ignore[arg-type]  # the import system asks for two methods


def install() -> None:
    if Finder not in sys.meta_path:
        sys.meta_path.insert(0, Finder)
