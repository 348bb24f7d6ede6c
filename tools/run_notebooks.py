"""Run the notebooks of docs/notebooks, save what they show, and make their pages of the docs site.

``python -m tools.run_notebooks`` runs all, some minutes each on two cores; names of notebooks run
those alone; ``--pages`` makes the pages anew from what is saved. It needs the extras docs, use,
image and data.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "notebooks"
_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="notebooks by the stem of their file")
    parser.add_argument("--pages", action="store_true", help="only make the pages anew")
    given = parser.parse_args()
    for path in sorted(FOLDER.glob("*.ipynb")):
        if given.names and path.stem not in given.names:
            continue
        notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
        if not given.pages:
            run(notebook)
            nbformat.write(notebook, path)  # type: ignore[no-untyped-call]
        path.with_suffix(".md").write_text(render_page(notebook, path.name), encoding="utf-8")


def run(notebook: Any) -> None:
    """Run a notebook in an empty folder; its outputs are in it afterwards, and nothing that varies.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
    """
    from nbclient import NotebookClient

    with TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        client = NotebookClient(
            notebook,
            kernel_name="python3",
            timeout=3600,
            resources=resources,
            record_timing=False,
            coalesce_streams=True,
        )
        client.execute()
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
        for output in cell.get("outputs", ()):
            text = output.get("data", {}).get("text/plain", "")
            if text:
                output["data"]["text/plain"] = _ADDRESS.sub("", text)


def render_page(notebook: Any, file: str) -> str:
    """A notebook with its saved outputs, as Markdown with HTML in it."""
    parts = [f"<!-- Made by python -m tools.run_notebooks from {file}. -->\n"]
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            parts.append(cell.source + "\n")
            if number == 0:
                parts.append(f"[This page as a notebook]({file})\n")
        else:
            parts.append(f"```python\n{cell.source}\n```\n")
            parts += _render_outputs(cell.outputs)
    return "\n".join(parts)


def _render_outputs(outputs: list[Any]) -> Iterator[str]:
    for output in outputs:
        data = output.get("data", {})
        pictures = [kind for kind in ("image/png", "image/jpeg") if kind in data]
        if "text/html" in data:
            html = "\n".join(line for line in data["text/html"].splitlines() if line.strip())
            yield f'<div class="momok-output">\n{html}\n</div>\n'
        elif pictures:
            source = f"data:{pictures[0]};base64,{data[pictures[0]].replace(chr(10), '')}"
            yield f'<img alt="{escape(data["text/plain"])}" src="{source}">\n'
        else:
            text = output.get("text") or data["text/plain"]
            yield f"```text\n{text.rstrip()}\n```\n"


if __name__ == "__main__":
    main()
