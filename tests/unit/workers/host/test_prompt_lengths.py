"""Prompts are rendered for the plan by tokenizers alone."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import tiny_models

from workers.engines.digests import tokenizer_digest, weights_digest
from workers.engines.loading import load_engine
from workers.host import engine_room
from workers.host.engine_room import EngineRoom
from workers.host.rendering import prompt_lengths
from workers.pipelines.participants import Participant
from workers.pipelines.rendering import PLAIN
from workers.pipelines.sample import render


@pytest.fixture
def folder(tmp_path):
    tiny_models.build_tiny_model(tmp_path / "model", seed=1)
    return tmp_path / "model"


@pytest.fixture
def side(folder):
    return Participant(
        stream="reference",
        model_id="m",
        path=str(folder),
        weights_digest=weights_digest(folder),
        adapter_digest=None,
        tokenizer_digest=tokenizer_digest(folder),
        context_length=64,
        parameters=None,
        base_path=None,
    )


def test_a_plan_needs_no_weights(folder, side):
    engine = load_engine(folder)
    prompts = [
        SimpleNamespace(id=text, index=0, text=text, messages=None, metadata={}) for text in ("1", "12+3")
    ]
    stream = SimpleNamespace(name="reference", participant="reference", rendering=PLAIN, is_arm=False)
    spec = SimpleNamespace(checkpoints=(), streams={"reference": stream}, prompts=prompts)
    want = [len(render(engine, prompt)) for prompt in prompts]
    for weights in folder.glob("*.safetensors"):
        weights.write_bytes(b"")
    found = prompt_lengths(spec, EngineRoom(capacity=None, threads=1), {"reference": side})
    assert found == {"reference": want}
    assert want[1] > want[0] > 0


def test_tokenizers_are_looked_at_once_for_all_arms(side, monkeypatch):
    asked, digest = [], engine_room.tokenizer_digest
    monkeypatch.setattr(
        engine_room, "tokenizer_digest", lambda folder: asked.append(folder) or digest(folder)
    )
    prompt = SimpleNamespace(id="a", index=0, text="abc", messages=None, metadata={})
    lent = replace(PLAIN, chat_template="candidate")
    streams = {
        name: SimpleNamespace(name=name, participant=name.partition(":")[0], rendering=rendering, is_arm=True)
        for name, rendering in {
            "reference": PLAIN,
            "reference:1": replace(PLAIN, prefix="ab"),
            "reference:2": lent,
            "reference:3": replace(lent, prefix="abc"),
        }.items()
    }
    spec = SimpleNamespace(checkpoints=(), streams=streams, prompts=[prompt])
    room = EngineRoom(capacity=None, threads=1)
    found = prompt_lengths(spec, room, {"reference": side, "candidate": side})
    # The tiny model's template adds one token.
    assert found == {"reference": [3], "reference:1": [5], "reference:2": [4], "reference:3": [7]}
    assert len(asked) == 2
