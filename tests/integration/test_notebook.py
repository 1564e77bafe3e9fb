"""The newcomer's notebook, run from its first cell to its last."""

import base64
import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOK = EXAMPLES / "quickstart.ipynb"


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells for output in cell.get("outputs", ())]


def plain(notebook: Any) -> str:
    return "".join(output.get("text", "") for output in outputs(notebook))


def pictures(notebook: Any) -> list[bytes]:
    data = [output.get("data", {}).get("image/png") for output in outputs(notebook)]
    return [base64.b64decode(picture) for picture in data if picture]


@pytest.mark.filterwarnings("ignore")
def test_it_runs_and_ends_with_a_plotted_decomposition(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TILTSCOPE_")]:
        monkeypatch.delenv(name)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(EXAMPLES)}}
    ).execute()
    assert "elicitation" in plain(notebook)
    (picture,) = pictures(notebook)
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 20_000


def test_it_is_committed_with_what_it_shows() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert "elicitation" in plain(notebook)
    assert len(pictures(notebook)) == 1
    text = NOTEBOOK.read_text()
    assert "Traceback" not in text
    assert "WARNING" not in text
    assert str(Path.home()) not in text
