import re
import time

from ledger.ids import new_id


def test_form():
    assert re.fullmatch(r"anl_[0-7][0-9A-HJKMNP-TV-Z]{25}", new_id("anl"))


def test_encodes_the_time_first(monkeypatch):
    # 1469918176385 ms is the ULID specification's own example: 01ARYZ6S41…
    monkeypatch.setattr(time, "time_ns", lambda: 1469918176385 * 1_000_000)
    assert new_id("x").startswith("x_01ARYZ6S41")


def test_unique_and_sorted_by_time():
    ids = []
    for _ in range(3):
        ids.append([new_id("x") for _ in range(1000)])
        time.sleep(0.002)
    assert len({i for batch in ids for i in batch}) == 3000
    assert max(ids[0]) < min(ids[2])
