"""Prompts are rendered for the plan by tokenizers alone."""

from types import SimpleNamespace

import pytest
import tiny_models

from workers.engines.digests import tokenizer_digest, weights_digest
from workers.engines.loading import load_engine
from workers.host.engine_room import EngineRoom
from workers.host.rendering import prompt_lengths
from workers.pipelines.participants import Participant
from workers.pipelines.rendering import PLAIN
from workers.pipelines.sample import render


@pytest.fixture
def folder(tmp_path):
    tiny_models.build_tiny_model(tmp_path / "model", seed=1)
    return tmp_path / "model"


def test_a_plan_needs_no_weights(folder):
    engine = load_engine(folder)
    side = Participant(
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
