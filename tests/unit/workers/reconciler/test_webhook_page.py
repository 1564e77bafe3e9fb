"""The example of docs/webhooks.md, run as it stands against what is sent."""

import re
from datetime import UTC, datetime
from pathlib import Path

from ledger.outbox import Message
from workers.reconciler.webhook_message import body_of, headers_of

PAGE = Path(__file__).parents[4] / "docs" / "webhooks.md"
SECRET = "whsec_" + "A" * 43 + "="
PAYLOAD = {"id": "anl_1", "kind": "support", "status": "failed", "partial": False, "verdict": None}


def test_the_example_takes_a_message_once_and_no_forged_one(capsys):
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    scope = {}
    exec(compile(example, str(PAGE), "exec"), scope)
    message = Message("msg_1", "whk_1", "t", "u", "analysis.failed", PAYLOAD, 0, 1, ())
    body, seen = body_of(message), set()
    headers = headers_of(message, body, [SECRET], datetime.now(UTC))
    assert scope["receive"](body, headers, SECRET, seen) == 204
    assert scope["receive"](body, headers, SECRET, seen) == 204
    assert scope["receive"](body.replace(b"anl_1", b"anl_2"), headers, SECRET, seen) == 400
    assert capsys.readouterr().out == "analysis.failed anl_1\n"
