"""A `fit` from where its training stands to its end, or to what is left of it where something raises."""

from dataclasses import fields
from pathlib import Path

from gammatune.engine.modes import has_mode
from gammatune.journal.events import Event, note_event
from gammatune.journal.history import PREDICTIONS, WEIGHTS
from gammatune.journal.writer import Echo, Journal
from gammatune.supervised.arguments import Arguments
from gammatune.supervised.final_report import FinalReport, save_predictions, save_weights
from gammatune.supervised.nets import maker_of_others, together_in_words
from gammatune.supervised.pretrained import Start
from gammatune.supervised.result import FitResult
from gammatune.supervised.setup import Setup
from gammatune.supervised.training import Supervised
from gammatune.tuning.executor import Crew
from gammatune.tuning.tuner import Result, Tuner, open_journal


class FitRun:
    """given: with all that was settled. crew: who trains the rollouts of one decision. said: the defaults that were
    chosen, in sentences; more come."""

    def __init__(
        self, given: Arguments, ready: Setup, training: Supervised, crew: Crew | None, said: list[str]
    ) -> None:
        self._given = given
        self._ready = ready
        self._training = training
        self._crew = crew
        self._said = said
        self._start: Start | None = None
        self._is_start = False
        self._journal: Journal | Echo | None = None
        self._tuner: Tuner | None = None
        self._report: FinalReport | None = None
        self._after: list[Event] = []  # what is told once the tuner has ended

    def train(self) -> None:
        given, training = self._given, self._training
        if given.pretrained:
            self._start = Start.of(given.model, training, self._ready.sets.select)
        self._journal = None if given.run_dir is None else open_journal(given.run_dir, given.ranks)
        new_model = maker_of_others(given, self._ready.model, self._journal)
        self._own_weights = new_model is not None
        training.several(new_model, None if given.run_dir is None else Path(given.run_dir))
        self._tuner = self._tuner_of()
        with self._tuner:
            for run in self._tuner:
                run.drive()
        self._said += [e["text"] for e in self._tuner.result.events if e["event"] in ("note", "objective")]
        # the weights that are meant to be used, not those it steps with
        for optimizer in filter(has_mode, self._ready.searched.optimizers):
            optimizer.eval()  # type: ignore[attr-defined]

    def judge(self) -> None:
        """Settle which weights are handed back, and find out how good they are."""
        self._hold_against_the_start()
        if self._nets:
            self._said.append(together_in_words(len(self._nets), own_weights=self._own_weights))
        past = None if self._journal is None else self._journal.past
        known = None if past is None else past.report
        self._report = FinalReport.of(self._ready, self._training, self._nets, known, self._said)
        if isinstance(self._journal, Journal) and not self._journal.pending:  # complete, and on disk
            self._training.forget_others(self._nets, () if past is None else past.kept)

    def result(self, seconds: float) -> FitResult:
        """Tell what was found out, and hand it back."""
        report = self._report
        if report is not None:
            if isinstance(self._journal, Journal):
                save_predictions(report.answers, self._journal.directory / PREDICTIONS)
            event = report.event(seconds)
            self._append(event)
            for listener in self._given.listeners:
                listener(event)
        found = self._ended.result
        several = None if report is None else report.several
        known = {one.name: getattr(found, one.name) for one in fields(Result)}
        return FitResult(
            **known | {"nets": self._nets, "events": (*found.events, *self._after)},
            report=None if report is None else report.figures,
            reported_on=None if report is None else report.on,
            said=tuple(self._said),
            seconds=seconds,
            measures={} if report is None else report.measures,
            metric=self._ready.goal.metric,
            start=None if self._start is None else self._start.metrics,
            is_start=self._is_start,
            ensemble=None if several is None else several.together,
            single=None if several is None else several.single,
            price=None if several is None else several.price,
        )

    def close(self) -> None:
        self._training.forget_nets()
        if self._journal is None:
            return
        self._journal.close()
        is_first = isinstance(self._journal, Journal)
        if is_first and self._tuner is not None and self._tuner.result.course and self._tuner.is_home:
            # after an error or Ctrl-C too: the model is back at its last commit, and is not lost
            save_weights(self._given.model, self._journal.directory / WEIGHTS)

    # -- inside

    @property
    def _ended(self) -> Tuner:
        assert self._tuner is not None
        return self._tuner

    @property
    def _nets(self) -> tuple[int, ...]:
        return () if self._is_start else self._ended.result.nets

    def _tuner_of(self) -> Tuner:
        given, ready = self._given, self._ready
        assert given.at_once is not None  # settled, as is the next
        assert given.ensemble is not None
        return Tuner(
            training=self._training,
            epochs=given.epochs,
            budget=given.budget,
            total_epochs=given.total_epochs,
            time=given.time,
            reserve=given.reserve,
            policy=given.policy,
            schedule=given.schedule,
            sampler=given.sampler,
            sampler_options=given.sampler_options,
            objective=ready.goal.objective,
            space=ready.searched.space,
            keep=given.keep,
            patience=given.patience,
            seed=given.seed,
            journal=self._journal,
            listeners=given.listeners,
            crew=self._crew,
            at_once=given.at_once,
            ranks=given.ranks,
            ensemble=given.ensemble,
            guide=given.guide,
            facts=ready.facts(self._journal, self._said, own_weights=self._own_weights),
        )

    def _hold_against_the_start(self) -> None:
        """Of a pretrained model: it may have come with better weights than the training ended with."""
        told = None if self._start is None else self._start.held_against(self._ended)
        if self._start is None or not told:
            return
        self._is_start = self._given.keep == "best"
        if self._is_start:
            self._given.model.load_state_dict(self._start.weights)
            told += "; they are handed back."
        else:
            told += ', but keep="last" was asked for.'
        self._said.append(told)
        self._append(note_event(told, is_start=self._is_start))

    def _append(self, event: Event) -> None:
        """To the result; to the journal too, unless the run was complete."""
        self._after.append(event)
        journal = self._journal
        if journal is not None and (journal.past is None or journal.past.report is None):
            journal.append(event)
