from typing import Any

import pytest
from sqlalchemy import Engine

from ledger import models
from ledger.database import write


def test_models_are_paged_by_id(gateway: Any, engine: Engine, model_record: Any) -> None:
    with write(engine) as conn:
        for name in ("b", "a", "z"):
            models.upsert(conn, "default", model_record(name))
        models.upsert(conn, "other", model_record("not-ours"))
    seen: list[str] = []
    after: dict[str, str] = {}
    while True:
        page = gateway.get("/v1/models", params={"limit": 2, **after}).json()
        seen += [entry["id"] for entry in page["data"]]
        if not page["has_more"]:
            break
        after = {"after": page["next_cursor"]}
    assert seen == ["a", "b", "tiny-base", "tiny-grpo", "z"]


def test_a_model_shows_what_its_id_stands_for_and_not_where_it_lies(gateway: Any) -> None:
    answer = gateway.get("/v1/models/tiny-base")
    assert answer.json()["weights_digest"] == "a" * 64
    assert answer.json()["status"] == "ready"
    assert "/models/" not in answer.text


def test_an_invalid_model_says_why(gateway: Any, engine: Engine, model_record: Any) -> None:
    with write(engine) as conn:
        models.upsert(conn, "default", model_record("broken", state="invalid", error="no tokenizer"))
    found = gateway.get("/v1/models/broken").json()
    assert (found["status"], found["detail"]) == ("invalid", "no tokenizer")


@pytest.mark.parametrize("model_id", ["nope", "..", "%2e%2e%2fetc", "%00"])
def test_other_models_do_not_exist(gateway: Any, model_id: str) -> None:
    assert gateway.get(f"/v1/models/{model_id}").status_code == 404


def test_signals_carry_schemas_that_accept_what_the_contract_accepts(gateway: Any) -> None:
    signals = {entry["kind"]: entry for entry in gateway.get("/v1/signals").json()["data"]}
    assert {"exact", "numeric", "regex"} < set(signals)
    assert signals["numeric"]["settings_schema"]["properties"]["absolute_tolerance"]["minimum"] == 0
    assert signals["exact"]["needs_answer"]
    assert not signals["regex"]["needs_answer"]
