"""The `reward_model` signal with a tiny model whose rewards are known by hand."""

import json

import pytest
from pydantic import TypeAdapter
from safetensors.torch import load_file, save_file
from tiny_reward_model import build_taste

from api_schemas.signals import Signal
from workers.engines.digests import tokenizer_digest, weights_digest
from workers.engines.errors import UnsafeModelFolder, UnsupportedModel
from workers.engines.reward_model import load_reward_model
from workers.errors import AnalysisFault
from workers.host.reward_room import RewardRoom
from workers.pipelines.judge import Judge
from workers.verifiers.judgement import AnswerKey, Case
from workers.verifiers.means import Means
from workers.verifiers.reward import RewardVerifier

SIGNAL = {"kind": "reward_model", "model": "taste", "success_threshold": 0.5}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return build_taste(tmp_path_factory.mktemp("taste"))


def row_of(folder):
    return {
        "path": str(folder),
        "weights_digest": weights_digest(folder),
        "tokenizer_digest": tokenizer_digest(folder),
    }


def judged(folder, *texts, **changes):
    room = RewardRoom({"taste": row_of(folder)})
    signal = TypeAdapter(Signal).validate_python({**SIGNAL, **changes}).model_dump(mode="json")
    judge = Judge(Means(rewards=room))
    return judge.judge(signal, [Case(text, AnswerKey(prompt="bc"), "eos") for text in texts])


def test_rewards_are_those_worked_out_by_hand(folder):
    found = judged(folder, "ba", "ab", "a", "b" * 10 + "a")
    assert [j.reward for j in found] == pytest.approx([1.0, -2.0, 1.0, 1.0], abs=1e-4)
    assert [j.outcome for j in found] == ["correct", "incorrect", "correct", "correct"]


def test_the_threshold_and_the_activation_decide_what_succeeds(folder):
    assert [j.outcome for j in judged(folder, "a", "b", success_threshold=1.1)] == ["incorrect"] * 2
    sigmoid = judged(folder, "a", "b", activation="sigmoid", success_threshold=0.7)
    assert [j.reward for j in sigmoid] == pytest.approx([0.7310586, 0.1192029], abs=1e-4)
    assert [j.outcome for j in sigmoid] == ["correct", "incorrect"]


def test_the_number_of_texts_at_once_changes_no_reward(folder):
    texts = [f"{'bcdef'[i % 5] * (i % 7)}{'ab'[i % 2]}" for i in range(40)]
    together = [j.reward for j in judged(folder, *texts)]
    assert together == [judged(folder, text)[0].reward for text in texts]


def test_a_text_beyond_the_context_is_a_verifier_error(folder):
    found = judged(folder, "a" * 31, "a")
    assert [j.outcome for j in found] == ["verifier_error", "correct"]


def test_an_output_that_is_not_there_is_a_verifier_error(folder):
    assert judged(folder, "a", label=1)[0].outcome == "verifier_error"


def test_softmax_over_the_outputs():
    verifier = RewardVerifier(lambda pairs: [[0.0, 1.0986123]] * len(pairs), 1, "softmax", 0.5)
    assert verifier.judge("x", AnswerKey(), "eos").reward == pytest.approx(0.75)


def test_a_model_without_a_head_is_refused_and_not_drawn_at_random(folder, tmp_path):
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = load_file(tmp_path / "model.safetensors")
    save_file(
        {k: v for k, v in weights.items() if "score" not in k},
        tmp_path / "model.safetensors",
        {"format": "pt"},
    )
    with pytest.raises(UnsupportedModel, match=r"score\.weight"):
        load_reward_model(tmp_path)
    with pytest.raises(AnalysisFault) as fault:
        judged(tmp_path, "a")
    assert (fault.value.code, fault.value.pointer) == ("unsupported_model", "/signal/model")


def test_pickles_and_code_are_refused(folder, tmp_path):
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoModel": "x.Y"}}))
    with pytest.raises(UnsafeModelFolder):
        load_reward_model(tmp_path)


def test_a_model_that_changed_is_refused(folder):
    room = RewardRoom({"taste": {**row_of(folder), "weights_digest": "other"}})
    with pytest.raises(AnalysisFault) as fault:
        room.check("taste")
    assert fault.value.code == "model_changed"
