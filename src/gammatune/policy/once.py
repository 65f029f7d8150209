"""One candidate for the whole run, searched over whole runs (figures 14 to 17 of the thesis).

The budget is the number of runs. A run is scored by its last epoch; the best run becomes the course.
"""

from collections.abc import Generator

from gammatune.policy.job import Job, Search, failures, refuse_all, refuse_hopeless
from gammatune.records import Commit, Fork, Outcome, Reason, Request, Rollout, Verdict


def once(job: Job) -> Generator[Request, Outcome | None, None]:
    runs = job.trials("whole runs")
    yield Fork("start")
    sampler = Search(job, 0)
    ends: list[Outcome] = []
    best: list[Outcome] = []
    while len(ends) < runs and not (best and job.is_ending(ends[-1].seconds)):
        values = sampler.ask()
        if values is None:  # the space is exhausted
            break
        run: list[Outcome] = []
        for epoch in range(job.epochs):
            outcome = yield Rollout(values, epoch, fork=None if run else "start", role=f"run {len(ends) + 1}")
            assert outcome is not None
            if not run:
                refuse_hopeless(outcome, job.where)
            run.append(outcome)
            if not outcome.ok:
                break
        sampler.tell(run[-1])
        ends.append(run[-1])
        if run[-1].ok and (not best or job.rank(run[-1]) > job.rank(best[-1])):
            best = run
            yield Fork("best run")
    if not best:
        refuse_all(ends, job.where)
    score = job.now(best[-1]).score
    assert score is not None
    failed = sum(not end.ok for end in ends)
    numbers = {"candidates": float(len(ends)), "failed": float(failed), "score": score}
    why = Reason("whole runs", {"count": len(ends), **failures(ends)})
    yield Commit(tuple(best), len(best), "best run", Verdict.of("search", why, **numbers))
