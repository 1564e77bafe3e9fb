"""Tiny random language models as real Hugging Face folders, one token per character."""

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

PAD, EOS = "<pad>", "<eos>"
CHAT_TEMPLATE = (
    "{% for m in messages %}{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}f{% endif %}"
)


def build_tiny_model(
    path: Path,
    kind: str = "llama",
    seed: int = 0,
    vocabulary: str = "abcdef",
    *,
    padded_rows: int = 0,
    spread: float = 0.3,
    context_length: int = 64,
    mixed_with: Path | None = None,
    **config: Any,
) -> Path:
    """Save a model whose ids are 0 = <pad>, 1 = <eos>, then the characters of `vocabulary`.

    Args:
        path: Folder to create.
        kind: `llama` or `gpt2`.
        seed: Of the weights. Two seeds are two models with one tokenizer.
        vocabulary: Characters, one token each.
        padded_rows: Rows of embedding and head beyond the tokenizer.
        spread: Standard deviation of the weights; 0.3 gives laws far from uniform.
        context_length: Longest sequence.
        mixed_with: A model of the same shape; the weights become its own, moved a fifth of the way to these.
        **config: Further configuration values.
    """
    tokenizer = build_tokenizer(vocabulary)
    rows = len(tokenizer) + padded_rows
    torch_state = torch.get_rng_state()
    torch.manual_seed(seed)
    build = {"llama": _llama, "gpt2": _gpt2}[kind]
    model: Any = build(rows, context_length, spread, config)
    torch.set_rng_state(torch_state)
    if mixed_with is not None:
        other = AutoModelForCausalLM.from_pretrained(mixed_with).state_dict()
        model.load_state_dict({k: 0.8 * other[k] + 0.2 * v for k, v in model.state_dict().items()})
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    (path / "generation_config.json").unlink(missing_ok=True)
    return path


def build_tiny_adapter(path: Path, base: Path, seed: int = 0, **settings: Any) -> Path:
    """Save a random LoRA adapter, far from zero, of a folder that `build_tiny_model` saved.

    Args:
        path: Folder to create.
        base: The base's folder; the adapter names it by its folder's name.
        seed: Of the weights.
        **settings: Further settings of PEFT's LoraConfig.
    """
    torch_state = torch.get_rng_state()
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        # PEFT asks transformers for something that transformers calls deprecated.
        warnings.simplefilter("ignore", FutureWarning)
        network = get_peft_model(
            AutoModelForCausalLM.from_pretrained(base),
            LoraConfig(
                r=4,
                lora_alpha=16,
                target_modules=["q_proj", "v_proj", "down_proj"],
                task_type="CAUSAL_LM",
                init_lora_weights=False,
                **settings,
            ),
        )
        network.peft_config["default"].init_lora_weights = True
        network.peft_config["default"].base_model_name_or_path = base.name
        network.save_pretrained(path, save_embedding_layers=False)
    torch.set_rng_state(torch_state)
    return path


def build_tokenizer(vocabulary: str) -> Any:
    """One token per character; decoding joins them without spaces."""
    ids = {token: index for index, token in enumerate([PAD, EOS, *vocabulary])}
    backend = Tokenizer(models.WordLevel(ids, unk_token=PAD))
    backend.pre_tokenizer = pre_tokenizers.Split(Regex("."), behavior="isolated")
    backend.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token=EOS, pad_token=PAD, chat_template=CHAT_TEMPLATE
    )


def edit_json(file: Path, **values: Any) -> None:
    """Set top-level values of a JSON file, which may not exist yet."""
    content = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(content | values))


def _llama(rows: int, context_length: int, spread: float, config: dict[str, Any]) -> Any:
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=rows,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=context_length,
            initializer_range=spread,
            eos_token_id=1,
            pad_token_id=None,
            bos_token_id=None,
            **config,
        )
    )


def _gpt2(rows: int, context_length: int, spread: float, config: dict[str, Any]) -> Any:
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=rows,
            n_embd=16,
            n_layer=2,
            n_head=4,
            n_positions=context_length,
            initializer_range=spread,
            eos_token_id=1,
            bos_token_id=None,
            pad_token_id=None,
            **config,
        )
    )
