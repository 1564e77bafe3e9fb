import pytest

from ledger.commits import commit
from ledger.database import read
from ledger.recovery import close_rounds
from workers.errors import AnalysisFault
from workers.supervisor.requests import Requests
from workers.supervisor.run_message import pace_of, run_message

SPEC = {"reference": {"source": "model", "model": "tiny"}, "candidate": None, "prompts": {"inline": []}}
SAMPLE = {"idx": 0, "work": "sample", "stream": "reference", "items": [[0, 0, 4]], "model_keys": ["d1"]}
FINALISE = {"idx": 0, "work": "finalise"}


def told(engine, claim):
    return run_message(engine, claim, Requests(engine).of(claim))


def drawn(engine, claim):
    """Plan, sample and plan again: the finalise shard is next."""
    assert commit(engine, claim(), artefact=None, usage={}, next_shards=[SAMPLE])
    artefact = {"key": "default/anl_1/a", "sha256": "s", "n_rows": 4}
    assert commit(engine, claim(), artefact=artefact, usage={"samples": 4})
    close_rounds(engine)
    assert commit(engine, claim(), artefact=None, usage={}, next_shards=[FINALISE])


def test_a_plan_shard_is_told_the_request_and_its_models(engine, register, submit, claim):
    register(context_length=64)
    submit()
    found = claim()
    message = told(engine, found)
    assert message["op"] == "run"
    assert message["claim"] == {"shard_id": found.shard["id"], "epoch": 1}
    assert message["shard"]["work"] == "plan"
    assert message["analysis"]["status_on_finish"] == "succeeded"
    assert message["analysis"]["spec"]["reference"]["model"] == "tiny"
    assert message["models"].keys() == {"reference"}
    assert message["models"]["reference"]["path"] == "/m/tiny"
    assert message["models"]["reference"]["context_length"] == 64
    assert (message["inputs"], message["failures"], message["partial"]) == ([], [], False)


def test_a_finalise_shard_gets_every_committed_artefact(engine, register, submit, claim):
    register()
    submit()
    drawn(engine, claim)
    message = told(engine, claim())
    assert [source["artefact_key"] for source in message["inputs"]] == ["default/anl_1/a"]
    assert message["analysis"]["usage"]["samples"] == 4


def test_a_plan_shard_is_told_how_fast_its_models_drew(engine, register, submit, claim):
    register()
    submit()
    first = claim()
    assert told(engine, first)["pace"] is None
    assert commit(engine, first, artefact=None, usage={}, next_shards=[SAMPLE])
    sample = claim()
    assert told(engine, sample)["pace"] is None
    artefact = {"key": "default/anl_1/a", "sha256": "s", "n_rows": 4}
    usage = {"samples": 4, "sampled_tokens": 300, "engine_seconds": 2.0}
    assert commit(engine, sample, artefact=artefact, usage=usage)
    close_rounds(engine)
    assert told(engine, claim())["pace"] == 150.0
    with read(engine) as conn:
        other = {"reference": {"weights_digest": "d2", "adapter_digest": None}}
        assert pace_of(conn, "default", other) is None


def test_a_teacher_is_one_of_the_models(engine, register, submit, claim):
    """It is loaded like a side, and its leaving ends the analysis at its own place."""
    register()
    submit(spec={**SPEC, "teacher": {"source": "model", "model": "tiny"}})
    assert told(engine, claim())["models"].keys() == {"reference", "teacher"}
    submit("anl_2", spec={**SPEC, "teacher": {"source": "model", "model": "gone"}})
    with pytest.raises(AnalysisFault) as fault:
        told(engine, claim())
    assert (fault.value.code, fault.value.pointer) == ("unknown_model", "/teacher/model")


def test_a_model_that_left_ends_the_analysis(engine, register, submit, claim):
    submit()
    found = claim()
    with pytest.raises(AnalysisFault) as fault:
        told(engine, found)
    assert (fault.value.code, fault.value.pointer) == ("unknown_model", "/reference/model")
    register(digest=None, state="invalid", error="no config.json")
    with pytest.raises(AnalysisFault, match=r"no config\.json"):
        told(engine, found)


def test_a_replaced_model_ends_the_analysis(engine, register, submit, claim):
    register()
    submit()
    assert commit(engine, claim(), artefact=None, usage={}, next_shards=[SAMPLE])
    register(digest="d2")
    with pytest.raises(AnalysisFault) as fault:
        told(engine, claim())
    assert fault.value.code == "model_changed"


def test_a_result_never_names_other_weights_than_it_sampled(engine, register, submit, claim):
    register()
    submit()
    drawn(engine, claim)
    register(digest="d2")
    with pytest.raises(AnalysisFault) as fault:
        told(engine, claim())
    assert fault.value.code == "model_changed"


def test_a_result_outlives_the_folders_of_its_models(engine, register, submit, claim):
    register()
    submit()
    drawn(engine, claim)
    register(state="invalid", error="no longer in the models folder")
    assert told(engine, claim())["models"]["reference"]["weights_digest"] == "d1"


ADAPTED = {**SAMPLE, "model_keys": ["d1+a1"]}


def test_an_adapter_comes_with_the_folder_of_its_base(engine, register, submit, claim):
    register("base", path="/m/base")
    register(kind="adapter", base="base", adapter_digest="a1")
    submit()
    reference = told(engine, claim())["models"]["reference"]
    assert (reference["path"], reference["base_path"]) == ("/m/tiny", "/m/base")


def test_a_replaced_adapter_ends_the_analysis(engine, register, submit, claim):
    register("base")
    register(kind="adapter", base="base", adapter_digest="a1")
    submit()
    assert commit(engine, claim(), artefact=None, usage={}, next_shards=[ADAPTED])
    register(kind="adapter", base="base", adapter_digest="a2")
    with pytest.raises(AnalysisFault) as fault:
        told(engine, claim())
    assert fault.value.code == "model_changed"


def test_the_reward_models_that_judge_are_told_with_where_they_are(engine, register, submit, claim):
    register()
    register("taste", digest="d9")
    spec = {**SPEC, "signal": {"kind": "exact"}, "second_signal": {"kind": "reward_model", "model": "taste"}}
    submit(spec=spec)
    message = told(engine, claim())
    assert message["models"].keys() == {"reference"}
    assert message["reward_models"]["taste"]["path"] == "/m/taste"
    assert message["reward_models"]["taste"]["weights_digest"] == "d9"


def test_a_reward_model_that_left_ends_the_analysis(engine, register, submit, claim):
    register()
    submit(spec={**SPEC, "signal": {"kind": "reward_model", "model": "taste"}})
    with pytest.raises(AnalysisFault) as fault:
        told(engine, claim())
    assert (fault.value.code, fault.value.pointer) == ("unknown_model", "/signal/model")
