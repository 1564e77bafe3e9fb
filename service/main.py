"""`python -m service.main`: the gateway as a process."""

import sys

import uvicorn
from pydantic import ValidationError

from service import logs
from service.app import create_app
from service.settings import Settings

SHUTDOWN_SECONDS = 5
"""For open requests to end: event streams never do by themselves, and clients resume them elsewhere."""


def main() -> int:
    """Serve until told to stop."""
    try:
        settings = Settings()
    except ValidationError as error:
        for fault in error.errors():
            name = "_".join(str(part) for part in fault["loc"]).upper()
            print(f"{f'TILTSCOPE_{name}: ' if name else ''}{fault['msg']}", file=sys.stderr)
        return 2
    logs.configure()
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        access_log=False,
        server_header=False,
        log_level="warning",
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
