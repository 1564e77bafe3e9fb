"""Demonstrations as token ids: what follows the rendered prompt's own ids, and ends."""

from types import SimpleNamespace

import pytest
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from workers.pipelines.demonstrations import demonstration_ids
from workers.pipelines.spec import prompt_specs


def model_of(merges=(), eos_ids=(1,)):
    """Letters, and pairs that merge across whatever boundary there is."""
    letters = ["<pad>", "<eos>", *"abcd", *("".join(pair) for pair in merges)]
    bpe = models.BPE({letter: i for i, letter in enumerate(letters)}, list(merges))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(bpe), pad_token="<pad>", eos_token="<eos>")
    return SimpleNamespace(tokenizer=tokenizer, eos_ids=frozenset(eos_ids))


def prompt(text="ab"):
    made = {"id": "p", "prompt": text, "messages": None, "answer": None, "answers": None, "choices": None}
    (one,) = prompt_specs([{**made, "tests": None, "family": None, "split": None, "metadata": None}])
    return one


def test_ids_follow_the_prompt_and_end_with_eos():
    assert demonstration_ids(model_of(), prompt(), "cd") == [4, 5, 1]


def test_a_merge_inside_the_text_is_kept():
    assert demonstration_ids(model_of([("c", "d")]), prompt(), "cd") == [6, 1]


def test_a_merge_across_the_boundary_leaves_the_prompt_as_it_was_sampled_from():
    """ "ab" + "cd" is a, bc, d to the tokenizer, but samples follow the ids of "ab"."""
    model = model_of([("b", "c")])
    assert model.tokenizer("abcd")["input_ids"] == [2, 6, 5]
    assert demonstration_ids(model, prompt(), "cd") == [4, 5, 1]


@pytest.mark.parametrize(("eos_ids", "last"), [((1, 5), 1), ((5, 4), 4)])
def test_the_tokenizers_eos_ends_it_where_the_model_ends_at_that(eos_ids, last):
    assert demonstration_ids(model_of(eos_ids=eos_ids), prompt(), "c")[-1] == last
