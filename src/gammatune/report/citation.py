"""How gammatune is cited: what `CITATION.cff` says, as text."""

TITLE = "gammatune: trains a neural network while finding its learning rate"
AUTHORS = "The gammatune authors"
THESIS = (
    "Yong Hoon Kim. Research on Hyperparameter Optimization for Improving AutoML Performance. Thesis, Department of "
    "Computer Engineering, Graduate School, Pukyong National University."
)


def citations(version: str | None) -> tuple[str, ...]:
    """The software, in the version that made the run where that is known, and the thesis whose method it is."""
    number = "" if version is None else f", version {version}"
    return (f"{AUTHORS}. {TITLE}{number}. Computer software.", THESIS)
