"""The frame of a result: what its numbers are relative to, an imported log's own policy included."""

from dataclasses import replace

from planted import planted, planted_run

from workers.pipelines.frame import frame
from workers.pipelines.log_policy import log_policy
from workers.pipelines.participants import Participant


def test_each_log_has_the_policy_it_was_drawn_by_and_a_model_that_of_the_request():
    run = planted_run([planted("a", 0.5, 0.5)])
    spec = run.spec
    told = log_policy(spec.policy, {"temperature": 0.35, "top_p": 0.85}, "reference")
    streams = {**spec.streams, "reference": replace(spec.streams["reference"], policy=told)}
    log = Participant.from_import("reference", {"id": "imp_1", "sha256": "0" * 64})
    found = frame(replace(spec, streams=streams), {**run.participants, "reference": log})
    assert found["reference"]["policy"] == {**found["policy"], "temperature": 0.35, "top_p": 0.85}
    assert found["policy"]["temperature"] == 1.0
    assert "policy" not in found["candidate"]
