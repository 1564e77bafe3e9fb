"""Bases and adapters in the memory of one host."""

import shutil
from pathlib import Path

import pytest
import tiny_models
import torch

from workers.engines.digests import adapter_digest, tokenizer_digest, weights_digest
from workers.errors import AnalysisFault
from workers.host.engine_room import MAX_ADAPTERS, EngineRoom
from workers.pipelines.participants import Participant


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    for seed in (1, 2):
        tiny_models.build_tiny_model(root / f"base{seed}", seed=seed)
    for seed in range(MAX_ADAPTERS + 1):
        tiny_models.build_tiny_adapter(root / f"lora{seed}", root / "base1", seed=seed)
    return root


@pytest.fixture
def room():
    return EngineRoom(capacity=1, threads=1)


def participant(root, name, base=None):
    whole = root / (base or name)
    return Participant(
        stream="candidate",
        model_id=name,
        path=str(root / name),
        weights_digest=weights_digest(whole),
        adapter_digest=None if base is None else adapter_digest(root / name),
        tokenizer_digest=tokenizer_digest(whole),
        context_length=64,
        parameters=None,
        base_path=None if base is None else str(whole),
    )


def test_a_pair_of_base_and_adapter_is_one_model_in_memory(models, room):
    base = room.get(participant(models, "base1"))
    side = participant(models, "lora0", "base1")
    adapted = room.get(side)
    assert adapted.model is base.model
    assert room.get(participant(models, "base1")) is base
    assert room.get(side) is adapted
    assert room.resident == sorted([side.weights_digest, side.model_key])


def test_a_base_leaves_with_its_adapters(models, room):
    room.get(participant(models, "lora0", "base1"))
    other = participant(models, "base2")
    room.get(other)
    assert room.resident == [other.weights_digest]


def test_the_adapter_used_least_recently_gives_way(models, room):
    sides = [participant(models, f"lora{seed}", "base1") for seed in range(MAX_ADAPTERS + 1)]
    for side in sides[:-1]:
        room.get(side)
    room.get(sides[0])
    room.get(sides[-1])
    assert sides[0].model_key in room.resident
    assert sides[1].model_key not in room.resident
    prefix = room.get(sides[1]).read([2, 3])
    assert torch.isfinite(prefix.hidden).all()


def test_a_tokenizer_comes_without_weights(models, room, tmp_path):
    side = participant(models, "lora0", "base1")
    assert room.tokenizer(side)("a")["input_ids"] == room.get(side).tokenizer("a")["input_ids"]
    shutil.copytree(models / "base2", tmp_path / "base2")
    other = participant(tmp_path, "base2")
    room.tokenizer(other)
    assert room.resident == sorted([side.weights_digest, side.model_key])
    for change in (lambda path: path.write_text(path.read_text().replace("<pad>", "<gap>")), Path.unlink):
        change(tmp_path / "base2" / "tokenizer.json")
        with pytest.raises(AnalysisFault, match="changed since"):
            room.tokenizer(other)


def test_a_tokenizer_is_loaded_once_and_keeps_its_own_chat_template(models, room, tmp_path):
    """Chat templates are no part of a tokenizer's digest: equal digests may word a conversation otherwise."""
    sides = []
    for name in ("base1", "base2"):
        shutil.copytree(models / name, tmp_path / name)
        (tmp_path / name / "chat_template.jinja").write_text(f"{name}:{{{{ messages[0].content }}}}")
        sides.append(participant(tmp_path, name))
    assert sides[0].tokenizer_digest == sides[1].tokenizer_digest
    # A copy of the weights may bring another template, too.
    shutil.copytree(tmp_path / "base1", tmp_path / "again")
    (tmp_path / "again" / "chat_template.jinja").write_text("again")
    sides.append(participant(tmp_path, "again"))
    assert sides[0].weights_digest == sides[2].weights_digest
    assert [room.chat_template(side)[:5] for side in sides] == ["base1", "base2", "again"]
    assert room.tokenizer(sides[0]) is room.tokenizer(sides[0])


def test_an_adapter_is_worded_by_the_chat_template_it_brings(models, tmp_path):
    """Whether its weights, its base's or none are in memory."""
    for name in ("base1", "lora0", "lora1"):
        shutil.copytree(models / name, tmp_path / name)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tmp_path / "base1" / file, tmp_path / "lora0" / file)
    (tmp_path / "lora0" / "chat_template.jinja").write_text("lora0:{{ messages[0].content }}")
    base = participant(tmp_path, "base1")
    own, plain = (participant(tmp_path, name, "base1") for name in ("lora0", "lora1"))

    def templates(room):
        return [room.chat_template(side)[:5] for side in (own, plain, base)]

    want = ["lora0", *[tiny_models.CHAT_TEMPLATE[:5]] * 2]
    room = EngineRoom(capacity=1, threads=1)
    assert templates(room) == want
    for side in (base, plain, own):
        room.get(side)
        assert templates(room) == want
    assert room.tokenizer(own) is room.get(own).tokenizer
    (tmp_path / "lora0" / "tokenizer.json").write_text("{}")
    with pytest.raises(AnalysisFault, match="changed since"):
        EngineRoom(capacity=None, threads=1).tokenizer(own)


@pytest.mark.parametrize("asked", ["get", "tokenizer"])
@pytest.mark.parametrize(
    ("file", "content", "code"),
    [
        ("custom.pkl", "", "unsafe_model"),
        ("tokenizer_config.json", "[]", "unsupported_model"),
        ("tokenizer.json", "{", "model_changed"),
    ],
)
def test_a_folder_that_cannot_be_used_ends_the_analysis(models, room, tmp_path, asked, file, content, code):
    """A fault of a shard alone would be listed with its prompts, and the next shard would try again."""
    shutil.copytree(models / "base1", tmp_path / "base1")
    side = participant(tmp_path, "base1")
    (tmp_path / "base1" / file).write_text(content)
    with pytest.raises(AnalysisFault, match="'base1'") as fault:
        getattr(room, asked)(side)
    # Of a tokenizer that is none any more, transformers says so first where weights are loaded.
    assert fault.value.code == ("unsupported_model" if (asked, file) == ("get", "tokenizer.json") else code)


@pytest.mark.parametrize("lost", ["adapter_model.safetensors", "adapter_config.json"])
def test_an_adapter_that_lost_a_file_changed(models, room, tmp_path, lost):
    for name in ("base1", "lora0"):
        shutil.copytree(models / name, tmp_path / name)
    side = participant(tmp_path, "lora0", "base1")
    (tmp_path / "lora0" / lost).unlink()
    with pytest.raises(AnalysisFault, match="changed since"):
        room.get(side)


def test_weights_that_do_not_fill_a_model_end_the_analysis(models, room, tmp_path):
    shutil.copytree(models / "base1", tmp_path / "base1")
    tiny_models.edit_json(tmp_path / "base1" / "config.json", num_hidden_layers=3)
    side = participant(tmp_path, "base1")
    room.tokenizer(side)
    with pytest.raises(AnalysisFault, match="model 'base1' cannot be used: weights are missing") as fault:
        room.get(side)
    assert fault.value.code == "unsupported_model"


def test_a_host_without_models_loads_none(models):
    room = EngineRoom(capacity=None, threads=1)
    side = participant(models, "base1")
    room.tokenizer(side)
    with pytest.raises(RuntimeError, match="neither draws nor scores"):
        room.get(side)
    assert room.resident == []


def test_an_adapter_that_was_replaced_is_refused(models, room, tmp_path):
    for name in ("base1", "lora0", "lora1"):
        shutil.copytree(models / name, tmp_path / name)
    side = participant(tmp_path, "lora0", "base1")
    shutil.copy(tmp_path / "lora1" / "adapter_model.safetensors", tmp_path / "lora0")
    with pytest.raises(AnalysisFault, match="changed since") as fault:
        room.get(side)
    assert fault.value.code == "model_changed"
    shutil.rmtree(tmp_path / "lora0")
    with pytest.raises(AnalysisFault, match="gone"):
        room.get(side)
