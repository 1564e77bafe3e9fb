import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from ledger.database import write
from service.settings import Settings

ROOT = Path(__file__).parents[3]

LIGHT = """
import asyncio, importlib.abc, sys

HEAVY = {"torch", "numpy", "scipy", "pyarrow", "transformers", "safetensors"}

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HEAVY:
            raise ImportError(f"{name} is not installed here")

sys.meta_path.insert(0, Refuse())

import httpx
from ledger.database import migrate
from service.app import create_app
from service.settings import Settings

async def main():
    settings = Settings(home=sys.argv[1], redis_url="redis://127.0.0.1:1/0")
    migrate(settings.ledger_url)
    app = create_app(settings)
    transport = httpx.ASGITransport(app=app)
    async with app.router.lifespan_context(app):
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            for path in ("/livez", "/v1/analyses", "/v1/signals", "/", "/docs", "/openapi.json", "/metrics"):
                assert (await client.get(path)).status_code == 200, path
    assert not HEAVY & set(sys.modules)

asyncio.run(main())
"""


def test_a_gateway_with_everything_is_ready(gateway: Any) -> None:
    answer = gateway.get("/readyz")
    assert answer.status_code == 200
    # Without Redis work is accepted all the same.
    assert answer.json() == {
        "status": "ready",
        "checks": {"database": "ok", "registry": "ok", "disk": "ok", "redis": "degraded"},
    }


def test_life_needs_nothing(gateway: Any, engine: Engine) -> None:
    with write(engine) as conn:
        conn.execute(text("DROP TABLE models"))
    assert gateway.get("/livez").json() == {"status": "ok"}


class TestNotReady:
    def test_before_the_migrations(self, gateway: Any, engine: Engine) -> None:
        with write(engine) as conn:
            conn.execute(text("UPDATE alembic_version SET version_num = '0000'"))
        answer = gateway.get("/readyz")
        assert (answer.status_code, answer.json()["status"]) == (503, "starting")
        assert answer.json()["checks"]["database"] == "failed"

    def test_before_the_first_scan_of_the_models(self, gateway: Any, engine: Engine) -> None:
        with write(engine) as conn:
            conn.execute(text("DELETE FROM registry_scans"))
        answer = gateway.get("/readyz")
        assert (answer.status_code, answer.json()["checks"]["registry"]) == (503, "failed")

    def test_with_an_empty_database(self, gateway: Any, engine: Engine) -> None:
        with write(engine) as conn:
            for table in ("registry_scans", "alembic_version"):
                conn.execute(text(f"DROP TABLE {table}"))
        checks = gateway.get("/readyz").json()["checks"]
        assert (checks["database"], checks["registry"]) == ("failed", "failed")


class TestFullDisk:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"min_free_bytes": 1 << 62})

    def test_a_full_disk_is_not_ready(self, gateway: Any) -> None:
        answer = gateway.get("/readyz")
        assert (answer.status_code, answer.json()["checks"]["disk"]) == (503, "failed")


def test_the_gateway_runs_where_no_numerics_are_installed(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", LIGHT, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"TILTSCOPE_HOST": "0.0.0.0"}, "TILTSCOPE_ALLOW_OPEN=1"),
        ({"TILTSCOPE_PORT": "eighty"}, "TILTSCOPE_PORT"),
    ],
)
def test_unsafe_or_wrong_settings_stop_the_start_in_one_line(
    tmp_path: Path, variables: dict[str, str], says: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "service.main"],
        cwd=ROOT,
        env={"PATH": "", "TILTSCOPE_HOME": str(tmp_path), **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
