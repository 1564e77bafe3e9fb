"""`python -m service.client` writes anew what follows in the client: its types and its blocking twin.

It imports nothing of the client, so that it can mend one that does not import.
"""

from pathlib import Path

from service.client import documents, twins

if __name__ == "__main__":
    package = Path(__file__).parents[2] / "tiltscope"
    written = documents.modules(package.parent / "docs" / "openapi.json") | twins.modules(package)
    for path, text in written.items():
        (package / path).write_text(text, encoding="utf-8")
