"""A segfault in torch must not take the supervisor along, nor a fork of CUDA be possible."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "modules",
    [
        "workers.celery_app, workers.tasks",
        "workers.reconciler.main, workers.reconciler.release",
        "workers.host.main",
    ],
)
def test_no_engine_is_imported(modules, tmp_path):
    heavy = "{'torch', 'transformers', 'numpy', 'pyarrow', 'fastapi'}"
    code = f"import sys, {modules}; found = {heavy} & set(sys.modules); sys.exit(str(found) if found else 0)"
    environment = {**os.environ, "TILTSCOPE_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
