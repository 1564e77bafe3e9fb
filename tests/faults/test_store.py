"""Tests 17 and 18: the artefact disk is full or read-only, or a committed artefact is damaged."""

import os
import subprocess

import pytest
from small_disk import fill, mounted


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own for the artefacts, with room for a few of them."""
    with mounted(tmp_path / "artefacts", kilobytes=256) as folder:
        yield folder


QUICK = {"TILTSCOPE_MIN_FREE_BYTES": "0", "TILTSCOPE_POLL_SECONDS": "0.2"}


def names(stack):
    return [key for key in stack.store.keys_older_than(-60) if key != "ballast"]


class TestDisk:
    """Test 17."""

    def test_full_in_the_middle_of_an_analysis(self, small_disk, stack):
        stack.start_reconciler()
        stack.start_worker(**QUICK)
        analysis = stack.submit(prompts=12, prompts_per_shard=1, samples=5, seconds=0.1)
        stack.until(stack.running, "a sample shard runs")
        fill(small_disk)
        stack.injected()
        log = stack.home / "worker.log"
        stack.until(lambda: "store_unavailable" in log.read_text(), "the worker waits for space")
        named = {shard.artefact_key for shard in stack.shards(state="DONE")} - {None}
        assert set(names(stack)) == named, "no partial file has a name"
        assert [s for s in stack.shards() if s.state == "QUARANTINED" or s.failures or s.crashes] == []
        (small_disk / "ballast").unlink()
        stack.ends(analysis)
        stack.assert_exact(analysis)
        assert set(stack.outcomes()) <= {"done", "released"}

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs the right to remount")
    def test_read_only(self, small_disk, stack):
        stack.start_reconciler()
        stack.start_worker(**QUICK)
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
        stack.injected()
        analysis = stack.submit()
        log = stack.home / "worker.log"
        stack.until(lambda: "store_unavailable" in log.read_text(), "the worker waits for a disk that takes")
        assert stack.outcomes() == []
        subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
        stack.ends(analysis)
        stack.assert_exact(analysis)


DAMAGES = {
    "flipped": lambda data: bytes([data[0] ^ 1]) + data[1:],
    "truncated": lambda data: data[:-1],
    "deleted": None,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_artefact_never_counts(stack, damage):
    """Test 18: the analysis ends with the reason, not with a result from other rows."""
    stack.start_reconciler()
    analysis = stack.submit(prompts=4, prompts_per_shard=1, seconds=0.3)
    stack.start_worker()
    shard = stack.until(lambda: stack.shards(state="DONE", work="sample"), "an artefact is committed")[0]
    path = stack.store.path_of(shard.artefact_key)
    content = path.read_bytes()
    path.unlink()
    if DAMAGES[damage] is None:
        stack.destroyed.add(shard.artefact_key)
    else:
        path.write_bytes(DAMAGES[damage](content))
    stack.injected()
    row = stack.ends(analysis)
    assert row.status == "failed"
    assert row.error["code"] == ("artefact_missing" if damage == "deleted" else "artefact_corrupt")
    assert shard.artefact_key in row.error["detail"]
    assert row.artifacts == {}
