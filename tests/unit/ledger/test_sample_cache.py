"""What was drawn once is found again by content, within a tenant and only while it is committed."""

import pytest

from ledger import analyses
from ledger.commits import commit
from ledger.database import read, write
from ledger.sample_cache import count_present, draw_key, find, model_key
from workers.engines import digests

SPEC = {"policy": {"temperature": 1.0}, "seed": 7}
MODEL = {"weights_digest": "w", "adapter_digest": None, "tokenizer_digest": "t"}
PROMPT = {"id": "p1", "prompt": "1+1=", "messages": None, "answer": "2"}


def key(**changes):
    parts = {"stream": "reference", "participant": {"source": "model", "model": "m"}, "model": MODEL}
    parts |= {"prompt": PROMPT, "spec": SPEC} | changes
    return draw_key(parts.pop("spec"), **parts)


def draw(bench, drawn, **changes):
    """An analysis whose one sample shard drew this; the shard's artefact key."""
    analysis_id = bench.started(**changes)
    claim = bench.claim(works={"sample"})
    stored = {"key": f"k/{claim.shard['id']}", "sha256": "s", "n_rows": 8}
    assert commit(bench.engine, claim, artefact=stored, usage={"samples": 8}, drawn=drawn)
    return analysis_id, stored["key"]


def found(bench, wanted, tenant="default"):
    with read(bench.engine) as conn:
        keys = [source["artefact_key"] for source in find(conn, tenant, wanted)]
        return keys, sum(count_present(conn, tenant, wanted).values())


class TestKey:
    @pytest.mark.parametrize(
        "changes",
        [
            {"stream": "candidate"},
            {"model": MODEL | {"weights_digest": "v"}},
            {"model": MODEL | {"adapter_digest": "a"}},
            {"model": MODEL | {"tokenizer_digest": "u"}},
            {"participant": {"source": "model", "model": "m", "system": "Think."}},
            {"prompt": PROMPT | {"prompt": "1+2="}},
            {"prompt": PROMPT | {"prompt": None, "messages": [{"role": "user", "content": "1+1="}]}},
            {"spec": SPEC | {"seed": 8}},
            {"spec": SPEC | {"policy": {"temperature": 0.5}}},
        ],
    )
    def test_whatever_changes_a_draw_changes_the_key(self, changes):
        assert key(**changes) != key()

    @pytest.mark.parametrize(
        "changes",
        [
            {"participant": {"source": "model", "model": "the-same-under-another-name"}},
            {"participant": {"source": "model", "model": "m", "step": 500}},
            {"prompt": PROMPT | {"id": "p9", "answer": "3"}},
            {"spec": SPEC | {"budget": {"k_use": 4}}},
        ],
    )
    def test_whatever_does_not_leaves_it(self, changes):
        assert key(**changes) == key()


class TestFinding:
    def test_only_sources_that_add_something_the_oldest_first(self, bench):
        _, first = draw(bench, [("a", 0, 4), ("b", 0, 4)])
        _, again = draw(bench, [("a", 0, 4)])
        _, more = draw(bench, [("a", 4, 8)])
        assert found(bench, {"a": (0, 4)}) == ([first], 4)
        assert found(bench, {"a": (2, 10)}) == ([first, more], 6)
        assert found(bench, {"c": (0, 4)}) == ([], 0)
        assert again not in found(bench, {"a": (0, 8), "b": (0, 1)})[0]

    def test_another_tenants_are_not_there(self, bench):
        draw(bench, [("a", 0, 4)], tenant_id="other")
        assert found(bench, {"a": (0, 4)}) == ([], 0)
        assert found(bench, {"a": (0, 4)}, tenant="other")[1] == 4

    def test_what_lost_its_lease_leaves_nothing(self, bench):
        bench.started()
        stale = bench.claim(works={"sample"})
        bench.age_leases()
        from ledger.recovery import expire_leases

        expire_leases(bench.engine)
        stored = {"key": "k", "sha256": "s", "n_rows": 8}
        assert not commit(bench.engine, stale, artefact=stored, usage={}, drawn=[("a", 0, 4)])
        assert found(bench, {"a": (0, 4)}) == ([], 0)

    def test_a_prompt_that_is_there_twice(self, bench):
        draw(bench, [("a", 0, 4), ("a", 0, 4)])
        assert found(bench, {"a": (0, 4)})[1] == 4

    def test_deleting_takes_the_entries_along(self, bench):
        analysis_id, _ = draw(bench, [("a", 0, 4)])
        bench.set_analysis(analysis_id, status="succeeded")
        with write(bench.engine) as conn:
            assert analyses.delete(conn, "default", analysis_id)
        assert found(bench, {"a": (0, 4)}) == ([], 0)

    def test_more_keys_than_a_statement_takes(self, bench):
        drawn = [(f"key-{number}", 0, 2) for number in range(1200)]
        draw(bench, drawn)
        assert found(bench, {name: (0, 2) for name, _, _ in drawn})[1] == 2400


@pytest.mark.parametrize("adapter", [None, "a"])
def test_the_ledger_names_a_model_as_its_shards_do(adapter):
    # Engines may not know the ledger, so the rule stands twice.
    assert model_key(MODEL | {"adapter_digest": adapter}) == digests.model_key("w", adapter)
