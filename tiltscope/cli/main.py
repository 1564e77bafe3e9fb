"""The `tiltscope` command."""

import sys

import typer

from tiltscope.cli import analyses
from tiltscope.cli import keys as server_keys
from tiltscope.cli.doctor import doctor
from tiltscope.cli.gate import gate
from tiltscope.cli.imports import import_log
from tiltscope.cli.log import log
from tiltscope.cli.models import models_app
from tiltscope.cli.terminal import err
from tiltscope.cli.up import up
from tiltscope.cli.watch import watch
from tiltscope.errors import TiltscopeError

HELP = """
Did post-training tilt the model, or take it somewhere new?

Examples:

  tiltscope up --models examples/models

  tiltscope submit --reference tiny-base --candidate tiny-grpo
            --prompts examples/prompts/basin_tail.jsonl --wait

  tiltscope report anl_... --output report.html

Exit codes: 0 done, 1 other failure, 2 wrong usage, 3 the service refused, 4 no service answers,
5 the analysis has no result, 6 something is missing on this machine, 10 the gate's policy is broken,
11 the gate cannot certify, 130 stopped.
"""

app = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)
app.add_typer(models_app, name="models")
app.command("keys", context_settings=server_keys.PASSED_ON)(server_keys.keys)
app.command("up")(up)
app.command("submit")(analyses.submit)
app.command("wait")(analyses.wait_for)
app.command("ls")(analyses.list_analyses)
app.command("show")(analyses.show)
app.command("cancel")(analyses.cancel)
app.command("extend")(analyses.extend)
app.command("result")(analyses.result)
app.command("report")(analyses.report)
app.command("logs")(analyses.logs)
app.command("import")(import_log)
app.command("gate")(gate)
app.command("doctor")(doctor)
app.command("log")(log)
app.command("watch")(watch)


def main() -> None:
    """Entry point: a known failure is a message and an exit code, never a traceback."""
    try:
        app()
    except TiltscopeError as error:
        err.print(f"tiltscope: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
