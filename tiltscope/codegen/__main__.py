"""`python -m tiltscope.codegen` writes `tiltscope/documents.py` and `tiltscope/payloads.py` anew."""

from pathlib import Path

from tiltscope.codegen import documents, twins

if __name__ == "__main__":
    package = Path(__file__).parents[1]
    written = documents.modules(package.parent / "docs" / "openapi.json") | twins.modules(package)
    for path, text in written.items():
        (package / path).write_text(text, encoding="utf-8")
