"""What `pip install` of the client leaves in an environment with nothing else in it."""

import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow

LEFT = """
import json
from importlib.metadata import distribution, files
names = {str(file).split('/')[0] for file in files('tiltscope') if '..' not in str(file)}
print(json.dumps(sorted(name for name in names if not name.endswith('.dist-info'))))
"""


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an environment into which only the client was installed."""
    home = tmp_path_factory.mktemp("bare")
    venv.create(home, with_pip=True)
    command = [home / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", ROOT / "tiltscope"]
    subprocess.run(command, check=True)
    return home / "bin"


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False)


def test_nothing_but_its_own_name_enters(bare: Path, tmp_path: Path) -> None:
    assert json.loads(run(bare / "python", "-c", LEFT, cwd=tmp_path).stdout) == ["tiltscope"]
    for module in ("service", "workers", "ledger", "api_schemas", "fastapi", "torch", "numpy", "pandas"):
        assert run(bare / "python", "-c", f"import {module}", cwd=tmp_path).returncode != 0


def test_every_module_imports_without_the_server_and_the_extras(bare: Path, tmp_path: Path) -> None:
    code = (
        "import pkgutil, importlib, tiltscope\n"
        "for found in pkgutil.walk_packages(tiltscope.__path__, 'tiltscope.'):\n"
        "    if not found.name.endswith('__main__'): importlib.import_module(found.name)\n"
        "print(tiltscope.Tiltscope, tiltscope.AsyncTiltscope)"
    )
    done = run(bare / "python", "-W", "error", "-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_command_runs_and_says_what_the_server_needs(bare: Path, tmp_path: Path) -> None:
    assert run(bare / "tiltscope", "--help", cwd=tmp_path).returncode == 0
    up = run(bare / "tiltscope", "up", "--models", tmp_path, cwd=tmp_path)
    assert up.returncode == 6
    assert "pip install 'tiltscope-server[embedded]'" in " ".join(up.stderr.split())
    assert "Traceback" not in up.stderr
    doctor = run(bare / "tiltscope", "doctor", "--json", cwd=tmp_path)
    grades = {check["part"]: check["grade"] for check in json.loads(doctor.stdout)["checks"]}
    assert (doctor.returncode, grades["server"], grades["torch"]) == (6, "failed", "failed")


@pytest.mark.parametrize("call", ["to_pandas()", "to_polars()", "plot()"])
def test_a_missing_extra_is_named(bare: Path, tmp_path: Path, call: str) -> None:
    code = (
        "from tiltscope import Result, SetupError\n"
        "from tiltscope.documents import Support\n"
        "support = Support.model_construct(regimes=None)\n"
        f"try: Result.model_construct(gain=None, support=support, free_energy=None).{call}\n"
        "except SetupError as error: print(error)\n"
    )
    done = run(bare / "python", "-c", code, cwd=tmp_path)
    assert "pip install 'tiltscope[" in done.stdout, done.stderr


def test_the_server_s_distribution_has_no_client(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, ROOT]
    subprocess.run(command, check=True)
    (wheel,) = tmp_path.glob("tiltscope_server-*.whl")
    listed = run(sys.executable, "-m", "zipfile", "-l", wheel, cwd=tmp_path).stdout
    assert "service/app.py" in listed
    assert "tiltscope/" not in listed.replace("tiltscope_server", "")
