"""The request of an analysis lies apart from the row that every claim and commit rewrites."""

import pytest
from sqlalchemy import event

from ledger.claims import Claimer, release, renew
from ledger.commits import commit_and_claim
from ledger.database import read
from ledger.requests import of_revision

STORED = {"key": "k", "sha256": "f" * 64, "n_rows": 8}


@pytest.fixture
def statements(bench):
    """Everything the ledger's database is told."""
    told = []

    @event.listens_for(bench.engine, "before_cursor_execute")
    def note(_conn, _cursor, statement, *_):
        told.append(statement)

    return told


def test_no_verb_of_a_lease_touches_it(bench, statements):
    """Its length, a thousand prompts perhaps, must not be paid for by each of thousands of shards."""
    bench.started(*[bench.sample(idx) for idx in range(3)])
    statements.clear()
    claim = bench.claim()
    renew(bench.engine, claim, progress=1)
    taken, following = commit_and_claim(
        bench.engine, claim, Claimer(bench.worker), artefact=STORED, usage={"samples": 8}, drawn=[("d", 0, 4)]
    )
    assert taken
    assert bench.commit(following)
    assert release(bench.engine, bench.claim(), reason="drain", penalty=False)
    assert len(statements) > 20
    assert not [statement for statement in statements if "requests" in statement]


def test_a_revision_that_there_is_not(bench):
    analysis_id = bench.submit(spec={"seed": 7})
    with read(bench.engine) as conn:
        assert of_revision(conn, analysis_id, 1) == {"seed": 7}
        assert of_revision(conn, analysis_id, 2) is None
        assert of_revision(conn, "anl_none", 1) is None
