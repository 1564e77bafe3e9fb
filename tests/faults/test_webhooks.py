"""A message is written with the end it tells of, so that whoever dies afterwards loses none."""

import threading

from cryptography.fernet import Fernet
from sqlalchemy import update
from webhook_receiver import fine, receiving

from ledger import outbox, webhooks
from ledger.database import read, write
from ledger.sealing import Seal
from ledger.tables import outbox as messages

SECRET = "whsec_" + "A" * 43 + "="


def test_a_reconciler_killed_before_and_during_delivery_loses_no_message(stack):
    key = Fernet.generate_key().decode()
    settings = {"TILTSCOPE_WEBHOOK_KEY": key, "TILTSCOPE_WEBHOOK_LOOPBACK": "1"}
    release = threading.Event()

    def hang_first(number):
        if number == 1:
            release.wait(60)
        return fine(number)

    with receiving(hang_first) as receiver:
        stack.start_reconciler(**settings)
        analysis_id = stack.submit()
        with write(stack.engine) as conn:
            webhooks.create(
                conn, tenant_id="default", webhook_id="whk_1", name=None, url=receiver.url,
                events=["analysis.cancelled"], secret=Seal([key]).seal(SECRET), most=20,
            )  # fmt: skip
        stack.kill("reconciler")
        stack.injected()
        stack.cancel(analysis_id)
        stack.start_reconciler(**settings)
        stack.until(lambda: receiver.received, "the message is on its way")
        stack.kill("reconciler")
        stack.injected()
        with write(stack.engine) as conn:
            conn.execute(update(messages).values(next_at=1))  # the dead one's hold ends, as in time
        stack.start_reconciler(**settings)
        stack.until(lambda: len(receiver.received) > 1, "the message comes again")
        stack.until(lambda: _log(stack), "the delivery is recorded")
        release.set()
    first, second = receiver.received
    assert (first.id, first.body) == (second.id, second.body)
    assert second.verify(SECRET)["data"]["id"] == analysis_id
    assert [(row.attempt, row.outcome) for row in _log(stack)] == [(2, "delivered")]


def _log(stack):
    with read(stack.engine) as conn:
        return outbox.list_deliveries(conn, "default", "whk_1", limit=10)
