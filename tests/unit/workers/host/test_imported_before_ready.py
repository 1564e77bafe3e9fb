"""What the first analysis needs is imported before a host says that it is ready."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]
PROGRAM = """
import sys
from pathlib import Path
import workers.host.execute
from workers.engines.loading import load_engine
before = set(sys.modules)
load_engine(Path("examples/models/tiny-base"))
print(len(set(sys.modules) - before))
"""


def test_loading_a_model_imports_little_but_its_own_family():
    """Where nothing is imported beforehand these are 1,243 modules, and four seconds."""
    said = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True, timeout=300
    )
    assert int(said.stdout.split()[-1]) < 60
