"""Models with random weights, as folders: throughput depends on the shape alone."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast


@dataclass(frozen=True)
class Shape:
    """A Llama shape; its products take `flops` a token."""

    vocabulary: int
    width: int
    inner: int
    layers: int
    heads: int
    key_heads: int

    @property
    def flops(self) -> float:
        """Floating-point operations a token in the layers and the head, attention to other tokens aside."""
        depth = self.width // self.heads
        attention = self.width * (2 * self.width + 2 * self.key_heads * depth)
        return 2.0 * (self.layers * (attention + 3 * self.width * self.inner) + self.vocabulary * self.width)


TINY: Final = Shape(512, 128, 384, 4, 4, 4)
"""0.92 million parameters."""
LARGE: Final = Shape(49_152, 576, 1_536, 30, 9, 3)
"""135 million parameters, SmolLM2-135M's shape."""
HALF_BILLION: Final = Shape(151_936, 896, 4_864, 24, 14, 2)
"""494 million parameters, Qwen2.5-0.5B's shape."""


def build(folder: Path, shape: Shape, seed: int, dtype: torch.dtype = torch.float32) -> Path:
    """Save a model whose last token is EOS."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.width,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_heads,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        eos_token_id=shape.vocabulary - 1,
        bos_token_id=None,
        pad_token_id=None,
    )
    model: Any = LlamaForCausalLM(config)
    model.to(dtype).save_pretrained(folder)
    _tokenizer(shape.vocabulary).save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    return folder


def build_adapter(folder: Path, base: Path, rank: int) -> tuple[Path, Path]:
    """Save a random LoRA of every linear layer, and beside it the model it makes when merged."""
    torch.manual_seed(rank)
    names = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    settings = LoraConfig(
        r=rank, lora_alpha=rank, target_modules=names, task_type="CAUSAL_LM", init_lora_weights=False
    )
    network: Any = get_peft_model(AutoModelForCausalLM.from_pretrained(base), settings)
    network.peft_config["default"].init_lora_weights = True
    network.save_pretrained(folder, save_embedding_layers=False)
    merged = folder.with_name(f"{folder.name}-merged")
    network.merge_and_unload().save_pretrained(merged)
    _copy_tokenizer(base, merged)
    return folder, merged


def _copy_tokenizer(source: Path, target: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (target / name).write_bytes((source / name).read_bytes())
    (target / "generation_config.json").unlink(missing_ok=True)


def _tokenizer(size: int) -> Any:
    ids = {f"t{number}": number for number in range(size - 1)} | {"<eos>": size - 1}
    backend = Tokenizer(models.WordLevel(ids, unk_token="t0"))
    backend.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<eos>")


def product_rate(
    rows: int = 512, width: int = 768, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> float:
    """Floating-point operations a second of matrix products here and now, the best of several."""
    left, right = (torch.randn(size, width, device=device, dtype=dtype) for size in (rows, width))
    best = 0.0
    for _ in range(30):
        start = time.perf_counter()
        left @ right
        if device != "cpu":
            torch.cuda.synchronize()
        best = max(best, 2.0 * rows * width * width / (time.perf_counter() - start))
    return best
