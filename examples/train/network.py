"""The network: a small Llama, so that any loader of Hugging Face folders can read it."""

from pathlib import Path
from typing import Final

import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM
from vocabulary import END, IDS, SYMBOLS, save_tokenizer

CONTEXT: Final = 32


def build_network(seed: int) -> LlamaForCausalLM:
    """A freshly initialised network of 0.64 million parameters, the same for the same seed."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(SYMBOLS),
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=IDS[END],
        pad_token_id=None,
    )
    return LlamaForCausalLM(config)


def copy_network(network: LlamaForCausalLM) -> LlamaForCausalLM:
    """An independent copy, the starting point of a post-training run."""
    twin = LlamaForCausalLM(network.config)
    twin.load_state_dict(network.state_dict())
    return twin


def save_network(network: LlamaForCausalLM, folder: Path) -> None:
    """Write configuration, float32 safetensors and tokenizer into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    network.generation_config = GenerationConfig(eos_token_id=IDS[END])
    network.save_pretrained(str(folder))
    (folder / "model.safetensors").chmod(0o644)
    save_tokenizer(folder)
