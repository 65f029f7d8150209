"""What is told as a run ends."""

from typing import Any

from gammatune.journal.events import end_event
from gammatune.journal.writer import Echo, Journal
from gammatune.tuning.driver import Driver


def end_of(driver: Driver, how: str) -> dict[str, Any]:
    """The event. Whatever the process does from now on is spent on something else."""
    driver.clock.stop()
    return end_event(how, driver.ledger.cost(driver.clock.spent), driver.clock.times())


def say_end(driver: Driver, journal: Journal | Echo | None, how: str, error: BaseException | None) -> None:
    """error: what ended the run before it was complete; it is told where the run can be gone on with."""
    if error is None:
        driver.teller.write(end_of(driver, how))
        return
    try:
        driver.teller.write(end_of(driver, how))
    except Exception as second:  # a listener's; what ended the run is what must be heard
        error.add_note(f"As the run was closed, {type(second).__name__} was raised too: {second}")
    if journal is not None:
        error.add_note(
            f"The run is kept in {journal.directory}; the same call, with the same run directory, goes on with it."
        )
