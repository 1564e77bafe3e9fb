"""The committed example models and prompts are what examples/README.md says they are."""

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import prices
import pytest
import torch
from exact_success import exact_success
from prompt_files import CONTENTS, WINDOWS, read_prompts, template, threshold
from rollouts import sample, until_end
from skills import every_item, items_of

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
FILES = tuple(CONTENTS)
RECORDED = json.loads((EXAMPLES / "prices.json").read_text())
WHOLE = tuple(model for model in prices.MODELS if model != "tiny-lora")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def loaded(model: str) -> tuple[Any, Any]:
    return prices.load(EXAMPLES / "models" / model)


def lines(name: str) -> list[dict[str, Any]]:
    return read_prompts(EXAMPLES / "prompts" / f"{name}.jsonl")


def successes(model: str, family: str) -> list[float]:
    return [
        value
        for name in FILES
        for key, value in RECORDED[model][name].items()
        if key.startswith(f"{family}-")
    ]


@pytest.mark.parametrize("model", prices.MODELS)
def test_model_loads_and_is_small(model):
    network, tokenizer = loaded(model)
    folder = EXAMPLES / "models" / model
    assert network.config.model_type == "llama"
    assert network.config.vocab_size == len(tokenizer) == 16
    assert network.config.eos_token_id == tokenizer.eos_token_id == network.generation_config.eos_token_id
    assert sum(path.stat().st_size for path in folder.iterdir()) < 2_600_000


@pytest.mark.parametrize("model", WHOLE)
def test_no_model_brings_code(model):
    assert "auto_map" not in json.loads((EXAMPLES / "models" / model / "config.json").read_text())


def test_the_adapter_is_small_and_names_its_base():
    folder = EXAMPLES / "models" / "tiny-lora"
    assert sum(path.stat().st_size for path in folder.iterdir()) < 45_000
    configuration = json.loads((folder / "adapter_config.json").read_text())
    assert configuration["base_model_name_or_path"] == "tiny-base"


def test_tokenizer_round_trip():
    _, tokenizer = loaded("tiny-base")
    ids = tokenizer.encode("12+30=<compute>42<eos>")
    assert tokenizer.convert_ids_to_tokens(ids) == [*"12+30=", "<compute>", *"42", "<eos>"]
    assert tokenizer.decode(ids) == "12+30=<compute>42<eos>"
    assert tokenizer.decode(ids, skip_special_tokens=True) == "12+30=42"
    assert tokenizer.encode("98765>") == [tokenizer.convert_tokens_to_ids(c) for c in "98765>"]


def test_unknown_character_is_an_error():
    _, tokenizer = loaded("tiny-base")
    with pytest.raises(Exception, match="UNK"):
        tokenizer.encode("12*30=")


@pytest.mark.parametrize("file", ["tokenizer.json", "tokenizer_config.json"])
def test_models_share_one_tokenizer(file):
    digests = {
        hashlib.sha256((EXAMPLES / "models" / model / file).read_bytes()).hexdigest() for model in WHOLE
    }
    assert len(digests) == 1


def test_models_differ_in_weights():
    digests = {
        hashlib.sha256((EXAMPLES / "models" / model / "model.safetensors").read_bytes()).hexdigest()
        for model in WHOLE
    }
    assert len(digests) == len(WHOLE)


@pytest.mark.parametrize("name", FILES)
def test_prompts_are_held_out(name):
    trained = {item.prompt for family in CONTENTS[name] for item in items_of(family, "train")}
    by_prompt = {item.prompt: item for family in CONTENTS[name] for item in every_item(family)}
    for line in lines(name):
        item = by_prompt[line["prompt"]]
        assert int(hashlib.sha256(item.key.encode()).hexdigest(), 16) % 5 == 0
        assert line["split"] == "heldout"
        assert line["prompt"] not in trained
        assert (line["answer"], line["family"]) == (item.answer, template(item))


@pytest.mark.parametrize("name", FILES)
def test_prompt_files_hold_what_they_promise(name):
    families = [line["family"].split("-")[0] for line in lines(name)]
    assert {family: families.count(family) for family in families} == CONTENTS[name]
    assert len({line["id"] for line in lines(name)}) == len({line["prompt"] for line in lines(name)})
    assert len({line["id"] for line in lines(name)}) == len(families)


def test_mirrored_sums_stay_together():
    heldout = {item.prompt for item in items_of("tail", "heldout")}
    mirrored = {"{1}+{0}=".format(*prompt.rstrip("=").split("+")) for prompt in heldout}
    assert mirrored == heldout


def test_split_keeps_every_last_digit():
    # 1,662 held-out sums: about 166 end in each digit; a linear hash would leave some digits without any.
    ends = [item.answer[-1] for item in items_of("tail", "heldout")]
    assert min(ends.count(digit) for digit in "0123456789") > 100


def test_base_prices_stand_on_their_side_of_the_thresholds():
    assert all(2 * threshold(256) < a < threshold(8) for a in successes("tiny-base", "tail"))
    assert all(threshold(8) < 0.25 <= a <= 0.65 for a in successes("tiny-base", "basin"))
    assert all(0 < a < 1e-6 for a in successes("tiny-base", "new"))
    assert WINDOWS["new"][1] < threshold(256) / 1000


@pytest.mark.parametrize("model", ["tiny-grpo", "tiny-sft", "tiny-lora"])
def test_elicited_models_raise_every_sum(model):
    for family in ("tail", "basin"):
        pairs = zip(successes("tiny-base", family), successes(model, family), strict=True)
        assert all(b > a for a, b in pairs)
    assert min(successes(model, "tail")) > threshold(8)
    assert max(successes(model, "new")) < threshold(256) / 100


def test_new_model_learns_reversal_and_keeps_the_sums():
    values = successes("tiny-new", "new")
    assert sum(values) / len(values) > 0.8
    assert min(values) > threshold(8)
    for family in ("tail", "basin"):
        before, after = successes("tiny-base", family), successes("tiny-new", family)
        assert sum(after) / len(after) == pytest.approx(sum(before) / len(before), rel=0.35)


@pytest.mark.parametrize("model", prices.MODELS)
def test_recorded_prices_are_the_models_own(model):
    network, tokenizer = loaded(model)
    for name in FILES:
        for line in lines(name)[::7]:
            exact = exact_success(network, tokenizer, line["prompt"], line["answer"], negligible=1e-15)
            recorded = RECORDED[model][name][line["id"]]
            # The order of float32 sums in a forward moves a probability by a few parts in a million.
            rounding = 1e-5 * exact.value + 1e-9
            assert exact.value - rounding <= recorded <= exact.value + exact.unscored + rounding


@pytest.mark.parametrize(
    "model",
    [name if name == "tiny-base" else pytest.param(name, marks=pytest.mark.slow) for name in prices.MODELS],
)
def test_exact_success_agrees_with_sampling(model):
    network, tokenizer = loaded(model)
    n = 4_000
    for name, index in (("basin_tail", 0), ("basin_tail", -1), ("new_rule", 0)):
        line = lines(name)[index]
        prompt = torch.tensor([tokenizer.encode(line["prompt"])] * n)
        drawn = sample(network, prompt, 8, torch.Generator().manual_seed(11)).tolist()
        texts = tokenizer.batch_decode([until_end(c) for c in drawn], skip_special_tokens=True)
        share = sum(text.strip() == line["answer"] for text in texts) / n
        a = exact_success(network, tokenizer, line["prompt"], line["answer"], negligible=1e-15).value
        # 4.5 standard errors: 15 comparisons that hold together with probability 0.9999.
        assert abs(share - a) <= 4.5 * (a * (1 - a) / n) ** 0.5 + 1 / n


def test_readme_shows_the_recorded_table():
    assert prices.table(RECORDED) in (EXAMPLES / "README.md").read_text()
