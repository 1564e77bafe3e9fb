"""The own forward of Llama-family models, against transformers' forward on the same weights."""

import pytest
import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from workers.engines.lean_cache import continued, gathered, selected_rows
from workers.engines.lean_linear import NotPlain, stack
from workers.engines.lean_model import LeanModel, is_lean

SHAPE = {
    "vocab_size": 24,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.3,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
MODELS = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE)),
    "llama-biases": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE, attention_bias=True, mlp_bias=True)),
    "llama-every-head-has-keys": lambda: LlamaForCausalLM(LlamaConfig(**{**SHAPE, "num_key_value_heads": 4})),
    "llama-3": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE, rope_parameters=LLAMA3)),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**SHAPE, sliding_window=None)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SHAPE)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SHAPE, head_dim=8)),
}


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    torch.manual_seed(11)
    built = MODELS[request.param]().eval()
    for name, parameter in built.named_parameters():
        if name.endswith(("bias", "norm.weight")):
            torch.nn.init.normal_(parameter, mean=0.7, std=0.3)
    return built


@pytest.fixture(scope="module")
def ids():
    return torch.randint(0, 24, (3, 20), generator=torch.Generator().manual_seed(5))


def hidden_states(model, ids):
    with torch.inference_mode():
        return model.base_model(input_ids=ids).last_hidden_state


def close(got, want):
    torch.testing.assert_close(got, want, rtol=1e-4, atol=2e-5)


def prompts(lean, ids, lengths):
    caches = []
    for row, length in zip(ids, lengths, strict=True):
        caches.append(lean.empty_cache())
        lean.extend(caches[-1], row[None, :length])
    return caches


def fed(lean, cache, ids, rows, at, count=1):
    """Feed each slot its row's next tokens; return what the slots gave."""
    tokens = torch.stack([ids[row, start : start + count] for row, start in zip(rows, at, strict=True)])
    return lean.extend(cache, tokens)


def test_every_way_of_reading_gives_the_stock_numbers(model, ids):
    want = hidden_states(model, ids)
    assert is_lean(model)
    lean = LeanModel(model)
    close(hidden_states(model, ids), want)  # the stock model goes on, on views of the stacked weights
    for row in range(3):
        prompt = lean.empty_cache()
        close(lean.extend(prompt, ids[row, None, :7])[0], want[row, :7])
        cache = continued(prompt, 2, 3)
        for lo, hi in ((7, 11), (11, 12), (12, 13), (13, 20)):
            got = lean.extend(cache, ids[row, None, lo:hi].expand(2, -1))
            close(got, want[row, None, lo:hi].expand(2, -1, -1))
        assert prompt.get_seq_length() == 7


@pytest.mark.parametrize("packs", [False, True])
def test_prompts_of_different_lengths_and_rows_of_different_ages(model, ids, packs):
    want, lean = hidden_states(model, ids), LeanModel(model)
    lengths = [5, 9, 7]
    caches = prompts(lean, ids, lengths)
    grid = gathered(caches, 2, 3, packs=packs)
    rows = [0, 0, 1, 1, 2, 2]
    for step in range(3):
        at = [lengths[row] + step for row in rows]
        got = fed(lean, grid, ids, rows, at)[:, 0]
        close(got, torch.stack([want[row, place] for row, place in zip(rows, at, strict=True)]))
    # Slot by slot: one row that goes on, one that begins; prompts in another order.
    kept = torch.tensor([2, -1, 0, -1, -1, 4])
    order = [caches[1], caches[0], caches[2]]
    grid = gathered(order, 2, 5, source=grid, rows=kept, longest=3, packs=packs)
    rows, ages = [1, 1, 0, 0, 2, 2], [3, 0, 3, 0, 0, 3]
    for step, count in ((0, 1), (1, 1), (2, 2), (4, 1)):
        at = [lengths[row] + age + step for row, age in zip(rows, ages, strict=True)]
        got = fed(lean, grid, ids, rows, at, count)
        close(
            got, torch.stack([want[row, place : place + count] for row, place in zip(rows, at, strict=True)])
        )


def test_a_grid_without_room_grows(model, ids):
    want, lean = hidden_states(model, ids), LeanModel(model)
    grid = gathered(prompts(lean, ids, [5, 9, 7]), 1, 1)
    for step in range(3):
        at = [length + step for length in (5, 9, 7)]
        got = fed(lean, grid, ids, range(3), at)[:, 0]
        close(got, torch.stack([want[row, place] for row, place in enumerate(at)]))


def test_wide_blocks_are_computed_alike(model, ids, monkeypatch):
    """Their prompts are attended to block by block, in place."""
    monkeypatch.setattr("workers.engines.lean_model._WIDE_BLOCK", 1)
    test_prompts_of_different_lengths_and_rows_of_different_ages(model, ids, packs=True)


def test_rows_can_be_selected_with_repeats(model, ids):
    want, lean = hidden_states(model, ids[:1].expand(3, -1)), LeanModel(model)
    (prompt,) = prompts(lean, ids[:1], [6])
    cache = continued(prompt, 1, 0)
    lean.extend(cache, ids[:1, 6:8])
    cache = selected_rows(cache, torch.tensor([0, 0, 0]))
    close(lean.extend(cache, ids[:1, 8:9].expand(3, -1)), want[:, 8:9])


def test_stacking_costs_no_memory_and_is_done_once(model):
    first, second = LeanModel(model), LeanModel(model)
    attention = model.base_model.layers[0].self_attn
    for lean in (first, second):
        stacked = lean._layers[0].attention_in.weight
        assert stacked.data_ptr() == attention.q_proj.weight.data_ptr()
        assert torch.equal(stacked[-len(attention.v_proj.weight) :], attention.v_proj.weight)


def test_other_architectures_are_left_to_transformers():
    windowed = MistralForCausalLM(MistralConfig(**SHAPE, sliding_window=4))
    assert not is_lean(windowed)
    mixed = Qwen2Config(**SHAPE, use_sliding_window=True, sliding_window=4, max_window_layers=1)
    assert not is_lean(Qwen2ForCausalLM(mixed))
    assert not is_lean(LlamaForCausalLM(LlamaConfig(**SHAPE, hidden_act="gelu")))
    dynamic = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}
    assert not is_lean(LlamaForCausalLM(LlamaConfig(**SHAPE, rope_parameters=dynamic)))
    with pytest.raises(NotPlain):
        stack([torch.nn.Bilinear(2, 2, 2)], None)


def test_a_fixed_grid_gives_the_same_numbers(model, ids):
    """Where steps are recorded all columns are attended to, behind a mask, and the device counts them."""
    want, lean = hidden_states(model, ids), LeanModel(model)
    lengths = [5, 9, 7]
    caches = prompts(lean, ids, lengths)
    grid = gathered(caches, 2, 6)
    rows = [0, 0, 1, 1, 2, 2]
    grid.columns.fill_(float("nan"))  # what memory held before
    grid.fix()
    for step in range(3):
        at = [lengths[row] + step for row in rows]
        got = fed(lean, grid, ids, rows, at)[:, 0]
        grid.used += 1
        close(got, torch.stack([want[row, place] for row, place in zip(rows, at, strict=True)]))
    assert int(grid.cursor) == grid.used == 3
    # Rows of it go on in another grid.
    grid = gathered([caches[0]], 2, 4, source=grid, rows=torch.tensor([1, -1]), longest=3)
    grid.fix()
    got = fed(lean, grid, ids, [0, 0], [lengths[0] + 3, lengths[0]])[:, 0]
    close(got, torch.stack([want[0, lengths[0] + 3], want[0, lengths[0]]]))
