"""The example scripts import one another by name, as ``python examples/train/train.py`` lets them."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "examples"
for folder in (EXAMPLES / "train", EXAMPLES / "smollm2", EXAMPLES, ROOT / "tests" / "unit" / "reports"):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
