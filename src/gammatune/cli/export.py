"""The command `gammatune export`: a trained network as a file for other programs (pipeline/export.py)."""

from typing import Annotated

import typer


def export(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run directory.")],
    out: Annotated[str, typer.Option(help="Where to write: model.onnx, or model.pt2 for torch.export.load.")],
    raw: Annotated[
        bool,
        typer.Option(
            "--raw", help="The network alone: standardised inputs in, logits or standardised targets out."
        ),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    single: Annotated[
        bool, typer.Option("--single", help="Of several nets whose answers are averaged the best alone.")
    ] = False,
) -> None:
    """Write a trained network as one file that needs no gammatune: raw inputs in, probabilities or targets out."""
    from gammatune.pipeline.export import export as write

    print(write(run, out, raw=raw, force=force, single=single))
