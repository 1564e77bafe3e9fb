"""`python -m service.keys`: API keys, for whoever holds the database and the pepper."""

import json
import re
import sys
from datetime import UTC, datetime
from typing import Annotated, Any, Final, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import Row

from ledger import api_keys
from ledger.database import connect, read, write
from service.auth.caller import SCOPES
from service.auth.keys import ApiKey
from service.settings import LEAST_PEPPER, Settings
from service.timestamps import timestamp

DAY_SECONDS: Final = 86_400.0
TENANT_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
"""A tenant's name is the first part of its artefacts' paths."""

app = typer.Typer(
    name="tiltscope keys",
    help="API keys. They are shown once, when they are made; the database keeps a keyed hash of each.\n\n"
    "Example: tiltscope keys create --tenant research --name ci --days 90",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
Json = Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")]


@app.command()
def create(
    tenant: Annotated[str, typer.Option(help="Whose analyses, data sets and imports it opens.")],
    name: Annotated[str, typer.Option(help="What it is for: a person, a pipeline.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="read, write or admin; repeat it. Default: read and write.")
    ] = None,
    days: Annotated[
        float | None, typer.Option(help="Days until it expires; without, never.", min=0.001)
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a key.

    Example: tiltscope keys create --tenant research --name ci --days 90
    """
    if TENANT_NAME.fullmatch(tenant) is None:
        raise typer.BadParameter(
            "a tenant's name has letters, digits, '.', '_' and '-'", param_hint="--tenant"
        )
    scopes = scope or ["read", "write"]
    if strangers := sorted(set(scopes) - set(SCOPES)):
        raise typer.BadParameter(
            f"no scope {strangers[0]!r}; there are {', '.join(SCOPES)}", param_hint="--scope"
        )
    settings = _settings()
    lifetime = None if days is None else days * DAY_SECONDS
    _show_new(*_make(settings, tenant, name, scopes, lifetime), as_json=as_json)


@app.command("list")
def list_keys(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None, as_json: Json = False
) -> None:
    """List keys; their secrets are nowhere."""
    engine = connect(Settings(auth="open").ledger_url)
    with read(engine) as conn:
        rows = api_keys.listing(conn, tenant)
    engine.dispose()
    if as_json:
        print(json.dumps([_described(row) for row in rows], indent=1))
        return
    table = Table("id", "tenant", "name", "scopes", "expires", "last used", "state")
    for row in rows:
        entry = _described(row)
        scopes = ", ".join(entry["scopes"])
        ends, used = entry["expires_at"] or "never", entry["last_used_at"] or "never"
        table.add_row(entry["id"], entry["tenant"], entry["name"], scopes, ends, used, entry["state"])
    Console().print(table if rows else "no keys yet; `tiltscope keys create --help` shows how to make one")


@app.command()
def revoke(key_id: str) -> None:
    """End a key at once: the next request with it is refused."""
    engine = connect(Settings(auth="open").ledger_url)
    with write(engine) as conn:
        ended = api_keys.revoke(conn, key_id)
    engine.dispose()
    if not ended:
        _fail(f"no key {key_id} that could be revoked; `tiltscope keys list` shows them")
    print(f"revoked {key_id}")


@app.command()
def rotate(
    key_id: str,
    overlap_hours: Annotated[float, typer.Option(help="How long the old key still works.", min=0)] = 24.0,
    days: Annotated[float | None, typer.Option(help="Days until the new one expires.", min=0.001)] = None,
    as_json: Json = False,
) -> None:
    """Replace a key by a new one with the same tenant, name and scopes; both work for a while."""
    settings = _settings()
    engine = connect(settings.ledger_url)
    with read(engine) as conn:
        old = api_keys.valid(conn, key_id)
    if old is None:
        _fail(f"no valid key {key_id}; `tiltscope keys list` shows them")
    lifetime = None if days is None else days * DAY_SECONDS
    made = _make(settings, old.tenant_id, old.name, old.scopes, lifetime)
    with write(engine) as conn:
        api_keys.shorten(conn, key_id, overlap_hours * 3600)
    engine.dispose()
    _show_new(*made, as_json=as_json)


def _settings() -> Settings:
    settings = Settings(auth="open")
    if len(settings.key_pepper.get_secret_value()) < LEAST_PEPPER:
        _fail(
            f"set TILTSCOPE_KEY_PEPPER to the gateway's pepper ({LEAST_PEPPER} characters or more; "
            "`openssl rand -hex 32` makes one): keys are hashed under it"
        )
    return settings


def _make(
    settings: Settings, tenant: str, name: str, scopes: list[str], lifetime: float | None
) -> tuple[ApiKey, Row[Any]]:
    key, engine = ApiKey.generate(), connect(settings.ledger_url)
    with write(engine) as conn:
        row = api_keys.create(
            conn,
            key_id=key.id,
            tenant_id=tenant,
            name=name,
            keyed_hash=key.keyed_hash(settings.key_pepper.get_secret_value()),
            scopes=scopes,
            lifetime_seconds=lifetime,
        )
    engine.dispose()
    return key, row


def _show_new(key: ApiKey, row: Row[Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({**_described(row), "key": key.text}, indent=1))
        return
    print(f"{key.text}\n")
    scopes = ", ".join(sorted(row.scopes))
    print(f"tenant {row.tenant_id}, {scopes}; this is the only time it is shown", file=sys.stderr)


def _described(row: Row[Any]) -> dict[str, Any]:
    times = {
        name: None if (value := getattr(row, name)) is None else timestamp(value)
        for name in ("created_at", "expires_at", "revoked_at", "last_used_at")
    }
    expired = row.expires_at is not None and row.expires_at <= datetime.now(UTC).timestamp() * 1e6
    state = "revoked" if row.revoked_at is not None else "expired" if expired else "valid"
    known = {"id": row.id, "tenant": row.tenant_id, "name": row.name, "scopes": sorted(row.scopes)}
    return {**known, **times, "state": state}


def _fail(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    raise typer.Exit(1)


if __name__ == "__main__":
    app(prog_name="tiltscope keys")
