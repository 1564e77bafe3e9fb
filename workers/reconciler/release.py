"""Free at once what a dead process held: ``python -m workers.reconciler.release BOOT_ID``.

For whoever saw it die, such as the launcher of the embedded service. Only a process that is certainly
dead: a live one would lose its shards, though nothing of them would be counted twice.
"""

import argparse
from collections.abc import Sequence

import structlog

from ledger.database import connect
from ledger.recovery import release_boot
from workers.logs import configure_logs
from workers.settings import Settings

log = structlog.get_logger(__name__)


def main(arguments: Sequence[str] | None = None) -> None:
    """Release the leases of one boot id."""
    configure_logs()
    parser = argparse.ArgumentParser(prog="python -m workers.reconciler.release", description=__doc__)
    parser.add_argument("boot_id", help="TILTSCOPE_BOOT_ID of the dead process")
    boot_id = parser.parse_args(arguments).boot_id
    engine = connect(Settings().ledger_url)
    try:
        log.info("boot_released", boot_id=boot_id, shards=release_boot(engine, boot_id))
    finally:
        engine.dispose()


if __name__ == "__main__":
    main()
