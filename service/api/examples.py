"""Examples in the OpenAPI document: recorded from the running gateway by `make examples`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).with_name("examples.json")
PROBLEM: Final = "problem"


def add_examples(document: Mapping[str, Any]) -> None:
    """Give each request body and each answer of a document its example, in place."""
    if not FILE.exists():
        return
    recorded: Mapping[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    problem = recorded[PROBLEM]["responses"]["422"]
    for operations in document["paths"].values():
        for operation in operations.values():
            _add(operation, recorded.get(operation["operationId"], {"responses": {}}), problem)


def _add(operation: Mapping[str, Any], entry: Mapping[str, Any], problem: Mapping[str, Any]) -> None:
    for media in operation.get("requestBody", {}).get("content", {}).values():
        if "request" in entry:
            media["example"] = entry["request"]
    for status, response in operation["responses"].items():
        answers = problem if status == "default" else entry["responses"].get(status, {})
        content = response.get("content", {})
        for media_type, media in content.items():
            # A file is sent under its own media type, which the document cannot know.
            alone = next(iter(answers.values()), None) if len(content) == 1 else None
            if (example := answers.get(media_type, alone)) is not None:
                media["example"] = example
