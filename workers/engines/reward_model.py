"""A reward model: a sequence-classification head over prompt and completion."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from workers.engines.digests import context_length
from workers.engines.errors import UnsupportedModel
from workers.engines.model_folder import checked_folder

OFFLINE: Final = {"local_files_only": True, "trust_remote_code": False}


@dataclass(frozen=True, slots=True)
class RewardModel:
    """A loaded reward model.

    Attributes:
        model: Transformers' sequence classifier, in evaluation mode.
        tokenizer: Its own.
        context_length: Longest input in tokens, or None.
    """

    model: Any
    tokenizer: Any
    context_length: int | None

    @property
    def labels(self) -> int:
        """Outputs of the head."""
        return int(self.model.config.num_labels)

    @torch.inference_mode()
    def logits(self, pairs: Sequence[tuple[str, str]]) -> list[list[float] | None]:
        """The head's outputs for each (prompt, completion); None where the two exceed the context.

        One at a time, so that neither padding nor the size of a batch changes a reward. With a chat template
        the pair is a turn of the user and one of the assistant; without, the completion follows the prompt.
        """
        found: list[list[float] | None] = []
        for prompt, completion in pairs:
            ids = self._ids(prompt, completion)
            if not ids or (self.context_length is not None and len(ids) > self.context_length):
                found.append(None)
                continue
            output = self.model(input_ids=torch.tensor([ids], device=self.model.device))
            found.append([float(value) for value in output.logits[0].float()])
        return found

    def _ids(self, prompt: str, completion: str) -> list[int]:
        if self.tokenizer.chat_template:
            turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": completion}]
            text = self.tokenizer.apply_chat_template(turns, tokenize=False)
            return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        return list(self.tokenizer(prompt + completion)["input_ids"])


def load_reward_model(path: Path, *, root: Path | None = None, device: str = "cpu") -> RewardModel:
    """Load a reward model's folder: offline, safetensors only, no code but ours.

    Args:
        path: The model folder.
        root: Where model folders may lie; the folder itself if None.
        device: `cpu`, in float32, or `cuda`, in bfloat16.

    Raises:
        UnsafeModelFolder: if loading would run code or read outside `root`.
        UnsupportedModel: if it has no sequence-classification head of its own.
    """
    folder = checked_folder(path, root)
    precision = torch.bfloat16 if torch.device(device).type == "cuda" else torch.float32
    try:
        config = AutoConfig.from_pretrained(folder, **OFFLINE)
        tokenizer = AutoTokenizer.from_pretrained(folder, **OFFLINE)
        loaded: Any = AutoModelForSequenceClassification.from_pretrained(
            folder,
            config=config,
            dtype=precision,
            use_safetensors=True,
            attn_implementation="eager",
            output_loading_info=True,
            **OFFLINE,
        )
    except (OSError, ValueError, RuntimeError, ImportError, SafetensorError) as error:
        detail = str(error).replace(str(folder), folder.name).strip().partition("\n")[0]
        raise UnsupportedModel(f"transformers cannot load it as a reward model: {detail}") from error
    model, info = loaded
    if info["missing_keys"]:
        # A head that is missing would be drawn at random, and its rewards with it.
        raise UnsupportedModel(
            f"it is no reward model: weights are missing, {min(info['missing_keys'])} among them"
        )
    model.to(device).eval()
    return RewardModel(model, tokenizer, context_length(folder))
