"""Each import contract is kept, and fails when it is violated."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("api_schemas", "ledger", "service", "workers", "tiltscope")

# Contract id, file that gets a forbidden import, and the import.
VIOLATIONS = [
    ("independence", "service/planted.py", "import workers.errors"),
    ("layers", "workers/numerics/planted.py", "import workers.pipelines.spec"),
    ("science", "workers/estimators/planted.py", "import pydantic"),
    ("no-torch", "workers/verifiers/planted.py", "import torch"),
    ("gateway-light", "service/planted.py", "import numpy"),
    ("wire", "api_schemas/planted.py", "import sqlalchemy"),
    ("ledger", "ledger/planted.py", "import celery"),
    ("client", "tiltscope/planted.py", "import api_schemas.base"),
]


def lint_imports(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def house(tmp_path: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_contracts_are_kept() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("contract", "file", "statement"), VIOLATIONS)
def test_a_planted_violation_is_caught(house: Path, contract: str, file: str, statement: str) -> None:
    (house / file).write_text(statement + "\n")
    done = lint_imports(house, "--contract", contract)
    assert done.returncode != 0, done.stdout
    assert "BROKEN" in done.stdout


def test_a_planted_cycle_is_caught(house: Path) -> None:
    (house / "workers/numerics/planted.py").write_text("import workers.numerics.planted_too\n")
    (house / "workers/numerics/planted_too.py").write_text("import workers.numerics.planted\n")
    done = lint_imports(house, "--contract", "acyclic")
    assert done.returncode != 0, done.stdout


def test_package_inits_are_empty() -> None:
    """All but the one that is the public Python API."""
    for package in PACKAGES:
        for file in (ROOT / package).rglob("__init__.py"):
            if file != ROOT / "tiltscope" / "__init__.py":
                assert file.read_text().strip() == "", f"{file} is a façade"


def test_files_stay_readable() -> None:
    """One noun a file: beyond 400 lines the design is at fault."""
    generated = {ROOT / "tiltscope" / name for name in ("documents.py", "payloads.py")}
    for package in PACKAGES:
        for file in set((ROOT / package).rglob("*.py")) - generated:
            lines = len(file.read_text().splitlines())
            assert lines <= 400, f"{file} has {lines} lines"
