from typing import Any


def test_another_tenants_analysis_is_an_unknown_one(
    gateway: Any, request_body: dict[str, Any], make_key: Any, bearer: Any
) -> None:
    alice, bob = bearer(make_key("alice")), bearer(make_key("bob"))
    accepted = gateway.post("/v1/analyses", json=request_body, headers=alice)
    assert accepted.status_code == 202, accepted.text

    def ask(ids: str, who: dict[str, str]) -> Any:
        return gateway.get("/v1/comparisons", params={"ids": ids}, headers=who)

    analysis_id = accepted.json()["id"]
    assert ask(analysis_id, alice).status_code == 409  # hers, without a result yet
    others, unknown = ask(analysis_id, bob), ask("anl_unknown", bob)
    assert others.status_code == unknown.status_code == 404
    body, same = others.json(), unknown.json()
    assert body.pop("request_id") != same.pop("request_id")
    assert body == same
