"""A reward model small enough to work out by hand."""

from pathlib import Path

import torch
from tiny_models import build_tokenizer
from transformers import LlamaConfig, LlamaForSequenceClassification


def build_taste(path: Path) -> Path:
    """A model that rewards a text by its last character: 1 for `a`, -2 for any other.

    Attention and MLP are silenced, so the head sees the last token's own embedding, normalised.
    """
    tokenizer = build_tokenizer("abcdef")
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=8, intermediate_size=8, num_hidden_layers=1,
        num_attention_heads=2, max_position_embeddings=32, num_labels=1, pad_token_id=None,
    )  # fmt: skip
    model = LlamaForSequenceClassification(config)
    a = tokenizer.convert_tokens_to_ids("a")
    with torch.no_grad():
        for name, weights in model.named_parameters():
            weights.fill_(1.0 if "norm" in name else 0.0)
        embeddings = model.model.embed_tokens.weight
        embeddings[:, 1] = 1.0
        embeddings[a] = 0.0
        embeddings[a, 0] = 1.0
        scale = 8**0.5  # of RMS normalisation of a one-hot vector of length 8
        model.score.weight[0, 0] = 1.0 / scale
        model.score.weight[0, 1] = -2.0 / scale
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def build_random_judge(path: Path, vocabulary: str, seed: int = 0, *, context_length: int = 64) -> Path:
    """A random model that rewards every text differently, by a standard deviation of about one.

    Args:
        path: Folder to create.
        vocabulary: Characters it reads, one token each.
        seed: Of the weights.
        context_length: Longest prompt and completion together.
    """
    tokenizer = build_tokenizer(vocabulary)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=context_length, num_labels=1, pad_token_id=None,
        initializer_range=0.3,
    )  # fmt: skip
    state = torch.get_rng_state()
    torch.manual_seed(seed)
    model = LlamaForSequenceClassification(config)
    torch.set_rng_state(state)
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path
