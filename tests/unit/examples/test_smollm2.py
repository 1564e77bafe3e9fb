"""What of the larger example needs no download: split, prompts, request, training loss, page of results."""

import json
import random

import convert
import demo_smollm2
import fine_tune
import pytest
import torch
from fine_tune import IGNORED, WORDINGS, answer_loss, packed, with_adapter
from hand_made import capability
from prompt_file import PER_LEVEL
from smollm2.tables import results_page
from sums import LEVELS, Item, is_held_out, last_number, signed_terms
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from api_schemas.requests import AnalysisRequest
from service.analyses.plan_checks import check_plan
from service.analyses.prompt_source import PromptSource
from tiltscope.requests import read_prompts
from workers.verifiers.judgement import AnswerKey
from workers.verifiers.registry import build_verifier

REQUEST = AnalysisRequest.model_validate(demo_smollm2.request())
PROMPTS = read_prompts(demo_smollm2.FOLDER / "prompts.jsonl")


def test_the_request_is_one_that_the_service_takes():
    assert len(REQUEST.prompts.inline) == len(PROMPTS) == PER_LEVEL * len(LEVELS)
    assert REQUEST.reference.model == convert.NAME
    assert REQUEST.candidate.model == fine_tune.NAME
    assert not check_plan(REQUEST, PromptSource(len(PROMPTS), REQUEST.prompts.inline), max_samples=10_000_000)


@pytest.mark.parametrize("prompt", PROMPTS, ids=lambda prompt: prompt["id"])
def test_a_prompt_is_held_out_and_its_answer_is_the_sum(prompt):
    expression = prompt["metadata"]["expression"]
    assert is_held_out(expression)
    assert int(prompt["answer"]) == sum(signed_terms(expression))
    assert prompt["messages"][-1]["content"].endswith(f": {expression} =")


def test_no_two_prompts_ask_the_same_sum():
    assert len({repr(signed_terms(prompt["metadata"]["expression"])) for prompt in PROMPTS}) == len(PROMPTS)


@pytest.mark.parametrize("prompt", PROMPTS[:: PER_LEVEL // 2], ids=lambda prompt: prompt["id"])
@pytest.mark.parametrize("wording", WORDINGS)
def test_the_signal_takes_what_is_taught_and_no_other_number(prompt, wording):
    judge = build_verifier(REQUEST.signal.model_dump(mode="json")).judge
    key, fields = AnswerKey(answers=(prompt["answer"],)), {"sum": prompt["metadata"]["expression"]}
    right = wording.format(answer=prompt["answer"], **fields)
    wrong = wording.format(answer=int(prompt["answer"]) + 1, **fields)
    assert judge(right, key, "eos").outcome == "correct"
    assert judge(wrong, key, "eos").outcome == "incorrect"
    assert judge("I cannot say.", key, "eos").outcome == "unparsed"
    assert last_number(right) == prompt["answer"]


def test_the_split_does_not_look_at_the_order():
    assert signed_terms("3 + 4 - 5") == [-5, 3, 4]
    sums = [(a, b) for a in range(10, 40) for b in range(10, 40)]
    held_out = [is_held_out(f"{a} + {b}") for a, b in sums]
    assert held_out == [is_held_out(f"{b} + {a}") for a, b in sums]
    assert 0.18 < sum(held_out) / len(held_out) < 0.32


def small_network():
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=20,
        hidden_size=8,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
    )
    return with_adapter(LlamaForCausalLM(config), rank=2)


def tokenizer_of_characters():
    symbols = ["<end>", "<?>", *"0123456789+-=. ", "u", "a"]
    words = Tokenizer(models.WordLevel({symbol: i for i, symbol in enumerate(symbols)}, unk_token="<?>"))
    words.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    made = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<end>", unk_token="<?>")
    made.chat_template = "{% for m in messages %}u{{ m['content'] }}{% endfor %}a"
    return made


def test_the_loss_is_that_of_the_answers_alone():
    tokenizer = tokenizer_of_characters()
    batch = [Item("one-digit", "3 + 4 =", "3 + 4", "7"), Item("two-digit", "30 + 14 =", "30 + 14", "44")]
    tokens, labels = packed(tokenizer, batch, random.Random(0))
    network = small_network()
    logits = network(input_ids=tokens).logits.log_softmax(dim=-1)
    terms = []
    for row, item in enumerate(batch):
        start = len(f"u{item.question}a")
        shown = tokens[row, start:].tolist()
        answer = [*shown[: shown.index(tokenizer.eos_token_id)], tokenizer.eos_token_id]
        assert item.answer in tokenizer.decode(answer).replace(" ", "")
        assert labels[row][labels[row] != IGNORED].tolist() == answer
        terms += [-logits[row, start - 1 + i, token] for i, token in enumerate(answer)]
    assert answer_loss(network, tokens, labels).item() == pytest.approx(
        torch.stack(terms).mean().item(), rel=1e-5
    )


def test_the_page_of_results_has_a_line_a_prompt():
    result, rows = capability("elicitation")
    weights = {"draws": 64, "successes": 9, "ess": 5.5, "largest_share": 0.4, "log_spread": 1.25}
    weights |= {"log_range": 3.0, "pareto_k": None, "status": "unreliable", "reason": "few"}
    rows[0]["weights"] = weights
    for row in rows[1:]:
        row["weights"] = None
    page = results_page(json.loads(json.dumps(result)), rows, [], 12_345, "all alike")
    assert "12,345" in page
    lines = [line for line in page.splitlines() if line.startswith(f"| {rows[0]['prompt_id']} |")]
    assert "9 / 64 | 5.5 | 40% | 1.25 | - | unreliable: few |" in lines[0]
    assert page.count("not scored") == 6 * (len(rows) - 1)
