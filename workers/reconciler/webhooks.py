"""Delivering what the outbox holds: at least once, each webhook one message at a time."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final

import structlog
from sqlalchemy import Engine

from ledger.errors import Unsealable
from ledger.outbox import Message, claim, record
from ledger.sealing import Seal, open_seal
from workers.logs import frames
from workers.outbound.address import AddressRefused, Resolve, resolve_by_system, target_of
from workers.outbound.exchange import Answer, Unreached, post
from workers.reconciler.retry_pauses import RetryPauses
from workers.reconciler.webhook_message import body_of, headers_of
from workers.settings import Settings

MAX_ANSWER_BYTES: Final = 16 << 10
"""Of an answer that are read before the connection is closed: none of them is kept."""

GONE: Final = 410
"""The receiver says for good that it wants nothing more."""

GRACE_SECONDS: Final = 30.0
"""Above the limit of an exchange, for looking up its address and recording it, before a message counts as
left by a dead process and is sent again."""

log = structlog.get_logger(__name__)


class Webhooks:
    """Sends from threads of its own, so that no receiver delays recovery.

    Args:
        engine: The ledger.
        settings: Limits, and where may be sent to.
        resolve: Addresses of a name.
    """

    def __init__(self, engine: Engine, settings: Settings, resolve: Resolve = resolve_by_system) -> None:
        self._engine = engine
        self._settings = settings
        self._resolve = resolve
        self._pauses = RetryPauses(
            settings.webhook_attempts, settings.webhook_pause_seconds, settings.webhook_longest_pause_seconds
        )
        self._busy: set[str] = set()
        self._lock = threading.Lock()
        self._look = threading.Event()
        self._stopping = False
        self._lanes = ThreadPoolExecutor(settings.webhook_lanes, thread_name_prefix="webhook")
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)

    def start(self) -> None:
        """Begin to look for messages."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more messages, and end those under way, within their limit."""
        self._stopping = True
        self._look.set()
        self._thread.join(self._settings.webhook_limit_seconds)
        self._lanes.shutdown()

    def look(self) -> int:
        """Take the messages that are due and that there are lanes for; how many."""
        seal = self._seal()
        with self._lock:
            busy = set(self._busy)
        free = self._settings.webhook_lanes - len(busy)
        if seal is None or free < 1:
            return 0
        hold = self._settings.webhook_limit_seconds + GRACE_SECONDS
        taken = claim(self._engine, limit=free, busy=busy, hold_seconds=hold)
        for message in taken:
            with self._lock:
                self._busy.add(message.webhook_id)
            self._lanes.submit(self._carry, message, seal)
        return len(taken)

    def _run(self) -> None:
        while not self._stopping:
            self._look.clear()
            try:
                self.look()
            except Exception as error:
                log.error("webhooks_failed", traceback=frames(error))
            self._look.wait(self._settings.webhook_poll_seconds)

    def _seal(self) -> Seal | None:
        return open_seal(self._settings.webhook_key.get_secret_value(), self._settings.own_key_folder)

    def _carry(self, message: Message, seal: Seal) -> None:
        try:
            self._deliver(message, seal)
        except Exception as error:
            # Nothing is recorded, so the message comes back when its hold ends.
            log.error("delivery_failed", message_id=message.id, traceback=frames(error))
        finally:
            with self._lock:
                self._busy.discard(message.webhook_id)
            self._look.set()

    def _deliver(self, message: Message, seal: Seal) -> None:
        answer, error = self._send(message, seal)
        pause = None
        if answer is None or answer.status != GONE:
            asked = None if answer is None else answer.retry_after
            pause = self._pauses.after(message.attempt, jitter=random.random(), asked=asked)
        status = None if answer is None else answer.status
        outcome = record(self._engine, message, status=status, error=error, retry_seconds=pause)
        log.info(
            "webhook_sent", message_id=message.id, attempt=message.attempt, status=status, outcome=outcome
        )

    def _send(self, message: Message, seal: Seal) -> tuple[Answer | None, str | None]:
        """The answer, if one came, and why the message was not taken, if it was not."""
        settings = self._settings
        try:
            secrets = [seal.open(secret) for secret in message.secrets]
            # Anew for every attempt: a name that was public yesterday may lead inside today.
            target = target_of(
                message.url,
                hosts={"*"},
                loopback=settings.webhook_loopback,
                http=settings.webhook_http,
                ports=settings.webhook_ports,
                resolve=self._resolve,
            )
            body = body_of(message)
            answer = post(
                target,
                headers=headers_of(message, body, secrets, datetime.now(UTC)),
                content=body,
                seconds=settings.webhook_limit_seconds,
                max_bytes=MAX_ANSWER_BYTES,
            )
        except (AddressRefused, Unreached, Unsealable) as refused:
            return None, str(refused)
        return answer, _fault(answer)


def _fault(answer: Answer) -> str | None:
    if 200 <= answer.status < 300:
        return None
    if answer.is_redirect:
        return f"answered {answer.status}; redirects are not followed"
    return f"answered {answer.status}"
