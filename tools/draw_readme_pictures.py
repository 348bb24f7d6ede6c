"""Make the README's picture of predictions from a run of the demo.

momok demo --run runs/readme && python tools/draw_readme_pictures.py runs/readme
"""

from __future__ import annotations

import io
from pathlib import Path

import click
from rich.console import Console

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"


@click.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
def main(run: Path) -> None:
    """Draw the predictions of RUN as they look in a terminal."""
    from momok.cli.demo import show_predictions
    from momok.prediction import Predictor

    IMAGES.mkdir(parents=True, exist_ok=True)
    console = Console(record=True, width=110, file=io.StringIO(), markup=False, emoji=False)
    show_predictions(Predictor(run), console)
    title = "momok demo"
    console.save_svg(str(IMAGES / "demo-predictions.svg"), title=title)
    click.echo(f"written to {IMAGES}")


if __name__ == "__main__":
    main()
