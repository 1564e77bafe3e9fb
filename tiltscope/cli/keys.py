"""`tiltscope keys`: the server's own command, run with the server's settings."""

import importlib.util
import subprocess
import sys

import typer

from tiltscope.errors import SetupError

PASSED_ON = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}


def keys(context: typer.Context) -> None:
    """Make, list, rotate and revoke API keys (operators only: it opens the ledger itself).

    Example: tiltscope keys create --tenant research --name ci --days 90
    """
    if importlib.util.find_spec("service") is None:
        raise SetupError(
            "API keys are made where the server is installed; run this there, or install tiltscope-server"
        )
    done = subprocess.run([sys.executable, "-m", "service.keys", *context.args], check=False)
    raise typer.Exit(done.returncode)
