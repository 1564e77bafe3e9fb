"""`python -m service.openapi > docs/openapi.json` writes the committed OpenAPI document anew."""

import json
import sys

from service.app import create_app
from service.settings import Settings


def snapshot() -> str:
    """The document as it is committed."""
    return json.dumps(create_app(Settings()).openapi(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(snapshot())
