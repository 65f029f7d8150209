"""The thesis's Hyperparameter Scheduler and Determinant (figures 7 and 8).

    data -> master model -> one copy per candidate, each trained for one epoch -> accuracy and loss
         -> objective -> the search proposes the next candidate -> ... -> the Determinant takes the best
         trained copy as the new master -> next epoch

With a grid or random sampler this is figure 7, with a Bayesian one figure 8. The budget B is the number of
candidates an epoch: each costs one epoch of training and one validation pass, so the whole costs B plain
runs (the thesis: 2 initial samples and 10 iterations, B = 12).

Each epoch is chosen by its own result; that is greedy, and loses to a schedule that looks ahead (docs/design.md).
"""

from collections.abc import Generator

from gammatune.policy.job import Job, Search, ahead, failures, refuse_all, refuse_hopeless
from gammatune.records import Commit, Fork, Outcome, Reason, Request, Rollout, Verdict


def greedy(job: Job) -> Generator[Request, Outcome | None, None]:
    candidates = job.trials("candidates an epoch")
    peak: Outcome | None = None  # the best commit so far
    highest: Outcome | None = None  # the commit with the highest score
    stale = 0  # epochs since that
    last: Outcome | None = None
    for epoch in range(job.epochs):
        yield Fork("master")
        sampler = Search(job, epoch)
        tried: list[Outcome] = []
        best: Outcome | None = None
        while len(tried) < candidates and not (best and job.is_ending(tried[-1].seconds)):
            asked = (sampler.ask() for _ in range(min(job.at_once, candidates - len(tried))))
            proposed = [values for values in asked if values is not None]
            if not proposed:  # the space is exhausted
                break
            rollouts = [Rollout(values, epoch, fork="master", role="candidate") for values in proposed]
            yield from ahead(rollouts, keep=True)
            for rollout in rollouts:
                outcome = yield rollout
                assert outcome is not None
                refuse_hopeless(outcome, job.where)
                sampler.tell(outcome)
                tried.append(outcome)
                if outcome.ok and (best is None or job.rank(outcome) > job.rank(best)):
                    best = outcome
                    yield Fork("best copy")
        if best is None:
            refuse_all(tried, job.where)
        yield Commit((best,), epoch + 1, "best copy", determinant([job.now(o) for o in tried], job.now(best)))
        last = best
        if job.keep == "best" and (peak is None or job.rank(best) > job.rank(peak)):
            peak = best
            yield Fork("peak")
        stale += 1
        if highest is None or job.rank(best)[0] > job.rank(highest)[0]:
            highest, stale = best, 0
        if job.is_ending(best.seconds) or (job.patience is not None and stale >= job.patience):
            break
    if job.keep == "best" and peak is not None and last is not None and peak is not last:
        yield Commit((), peak.epoch + 1, "peak", _back_to(job.now(peak), job.now(last)))


def determinant(tried: list[Outcome], best: Outcome) -> Verdict:
    """Why this copy becomes the master."""
    scores = sorted((o.score for o in tried if o.score is not None), reverse=True)
    failed = len(tried) - len(scores)
    assert best.score is not None
    numbers = {"candidates": float(len(tried)), "failed": float(failed), "score": best.score}
    if len(scores) > 1:
        numbers["lead"] = scores[0] - scores[1]
    why = Reason("candidates", {"count": len(tried), "lead": numbers.get("lead"), **failures(tried)})
    return Verdict.of("epoch", why, **numbers)


def _back_to(peak: Outcome, last: Outcome) -> Verdict:
    assert peak.score is not None
    assert last.score is not None
    why = Reason("best commit", {"epoch": peak.epoch + 1})
    return Verdict.of("handed back", why, score=peak.score, last=last.score)
