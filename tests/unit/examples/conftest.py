"""The example scripts import one another by name, as ``python examples/train/train.py`` lets them."""

import sys
from pathlib import Path

TRAIN = str(Path(__file__).resolve().parents[3] / "examples" / "train")
if TRAIN not in sys.path:
    sys.path.append(TRAIN)
