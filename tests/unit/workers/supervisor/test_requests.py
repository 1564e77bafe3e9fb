"""What a supervisor knows of the requests of the analyses it is busy with."""

import pytest
from sqlalchemy import event

from ledger import analyses, extending
from ledger.claims import release
from ledger.commits import commit, commit_finalise
from ledger.database import write
from workers.errors import AnalysisFault
from workers.host.known_requests import KEPT
from workers.supervisor.requests import Requests

SPEC = {"prompts": {"inline": []}, "budget": {"samples_per_prompt": 1}}
LARGER = {**SPEC, "budget": {"samples_per_prompt": 2}}


@pytest.fixture
def reads(engine):
    """Statements that read a request."""
    found = []

    @event.listens_for(engine, "before_cursor_execute")
    def note(_conn, _cursor, statement, *_):
        if "SELECT requests.spec" in statement:
            found.append(statement)

    return found


def ended(engine, claim):
    """Carry an analysis to a result; its last claim."""
    assert commit(engine, claim(), artefact=None, usage={}, next_shards=[{"idx": 0, "work": "finalise"}])
    last = claim()
    assert commit_finalise(engine, last, artifacts={}, usage={})
    return last


def extend(engine):
    with write(engine) as conn:
        assert extending.extend(
            conn, "default", "anl_1", revision=1, spec=LARGER, spec_sha256="1" * 64, deadline_seconds=None
        )


def test_the_request_of_an_analysis_is_read_once(engine, submit, claim, reads):
    submit(spec=SPEC)
    known = Requests(engine)
    for _ in range(3):
        held = claim()
        assert known.of(held) == SPEC
        assert release(engine, held, reason="again", penalty=False)
    assert len(reads) == 1


def test_an_extension_is_another_request(engine, submit, claim):
    """Who still believes to hold a shard of before it keeps what that shard was planned under."""
    submit(spec=SPEC)
    known = Requests(engine)
    before = ended(engine, claim)
    extend(engine)
    assert known.of(claim()) == LARGER
    assert known.of(before) == SPEC
    assert Requests(engine).of(before) == SPEC


def test_no_more_are_kept_than_a_worker_is_busy_with(engine, submit, claim, reads):
    known = Requests(engine)
    for number in range(KEPT + 1):
        submit(f"anl_{number}", spec={**SPEC, "seed": number})
    claims = {held.analysis["id"]: held for held in (claim() for _ in range(KEPT + 1))}
    for held in claims.values():
        known.of(held)
    oldest, *_, newest = claims.values()
    assert known.of(newest)["seed"] == int(newest.analysis["id"].removeprefix("anl_"))
    assert len(reads) == KEPT + 1
    assert known.of(oldest)["seed"] == int(oldest.analysis["id"].removeprefix("anl_"))
    assert len(reads) == KEPT + 2


def test_an_analysis_that_was_deleted_has_none(engine, submit, claim):
    submit(spec=SPEC)
    last = ended(engine, claim)
    with write(engine) as conn:
        assert analyses.delete(conn, "default", "anl_1")
    with pytest.raises(AnalysisFault, match="anl_1 was deleted"):
        Requests(engine).of(last)
