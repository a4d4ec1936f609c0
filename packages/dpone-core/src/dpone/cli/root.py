"""The root command: each subcommand with its line of help, without importing any; errors as people should see them.

Exit codes are the same for every command: 0 yes; 1 the answer is no; 2 refused; 130 and 143 after a signal.
"""

from __future__ import annotations

import atexit
import errno
import gc
import json
import os
import sys
import threading
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

import click

from dpone.errors import DponeError

if TYPE_CHECKING:
    from collections.abc import Iterable

# Subcommand, the object that carries it out, and its line in `dpone --help`.
COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("dpone.cli.init:init", "Write a first manifest that runs."),
    "check": ("dpone.cli.check:check", "Check a manifest without connecting to anything."),
    "plan": ("dpone.cli.plan:plan", "Show what a run would do, statement by statement."),
    "run": ("dpone.cli.run:run", "Run a manifest."),
    "copy": ("dpone.cli.copy:copy", "Copy one table from a URL to a URL."),
    "diff": ("dpone.cli.diff:diff", "Compare the rows of sources and targets."),
    "connectors": ("dpone.cli.connectors:connectors", "List the installed connectors."),
    "types": ("dpone.cli.types:types", "Show how the types of a source land in a sink."),
    "manifest": ("dpone.cli.manifest:manifest", "The manifest's JSON Schema, for editors."),
    "resume": ("dpone.cli.resume:resume", "Go on with a run that stopped."),
    "resync": ("dpone.cli.resync:resync", "Land rows again that have landed."),
    "sweep": ("dpone.cli.sweep:sweep", "Remove what runs that died left in a sink."),
    "runs": ("dpone.cli.runs:runs", "List and show the records of runs."),
    "state": ("dpone.cli.state:state", "Show and change the stored position of a pipeline."),
    "services": ("dpone.cli.services:services", "Start and stop local servers for trying things out."),
    "doctor": ("dpone.cli.doctor:doctor", "Examine this machine and its connections."),
}
# Groups that other distributions bring, named here so that their absence has an answer.
EXTENSIONS: dict[str, tuple[str, str]] = {
    "ops": ("dpone-certify", "Certify, judge evidence, decide releases."),
    "strategy": ("dpone-certify", "Bundle the evidence of a strategy."),
}

SPEAKS_JSON = "_DPONE_SPEAKS_JSON"  # set by `--format json`; the command's context is gone when its error is shown


class LazyGroup(click.Group):
    """A group that knows its commands by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS, *self._extensions()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS:
            module, _, name = COMMANDS[cmd_name][0].partition(":")
            command: click.Command = getattr(import_module(module), name)
            gc.freeze()  # what start-up made stays; see main()
            gc.set_threshold(100_000)  # rows are many objects and no cycle: to look after 700 took a fifth of a load
            gc.enable()
            return command
        for point in _entry_points():
            if point.name == cmd_name:
                loaded: click.Command = point.load()
                return loaded
        if cmd_name in EXTENSIONS:
            return _missing(cmd_name)
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches  # nothing but a mistyped command needs it

            near = get_close_matches(args[0], self.list_commands(ctx), n=1)
            if not near:
                raise
            raise click.UsageError(f"{error.message} Did you mean {near[0]!r}?", ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, line) for name, (_, line) in COMMANDS.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
        with formatter.section("From other packages"):
            formatter.write_dl([(n, EXTENSIONS.get(n, ("", "An extension."))[1]) for n in self._extensions()])

    def _extensions(self) -> list[str]:
        return sorted({*EXTENSIONS, *(point.name for point in _entry_points())} - COMMANDS.keys())


def _entry_points() -> Iterable[Any]:
    from importlib.metadata import entry_points  # costs as much as click itself; a known command never needs it

    return entry_points(group="dpone.commands")


def _missing(name: str) -> click.Command:
    """Stands for a group whose distribution is not installed: any call is answered by the line that installs it."""

    @click.command(
        name, context_settings={"ignore_unknown_options": True, "allow_extra_args": True}, add_help_option=False
    )
    def missing() -> None:
        from dpone.errors import MissingPackage

        raise MissingPackage(f"`dpone {name}` comes with another package", install=EXTENSIONS[name][0])

    return missing


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--debug", is_flag=True, envvar="DPONE_DEBUG", help="Show tracebacks of errors.")
@click.option("--testing", is_flag=True, help="Offer the in-memory connectors of dpone.testing, too.")
@click.version_option(package_name="dpone-core", prog_name="dpone")
def cli(*, debug: bool, testing: bool) -> None:
    """Move rows from a source to a sink by a declared strategy, and prove what landed."""
    if debug:
        os.environ["DPONE_DEBUG"] = "1"
    if testing:
        os.environ["DPONE_TESTING"] = "1"  # worker processes inherit it


def console() -> NoReturn:
    """The console script: the command, and then the end of the process without taking the interpreter apart.

    That frees what the system frees anyway, and takes a tenth of a short run.
    """
    try:
        main()
    except SystemExit as done:
        if isinstance(done.code, int) and threading.active_count() == 1:
            atexit._run_exitfuncs()  # noqa: SLF001 -- what sys.exit() would call; it has no public name
            unwritten = [stream for stream in (sys.stdout, sys.stderr) if not _is_flushed(stream)]
            # a failure has been told; what else cannot be written is sys.exit()'s to tell
            if not unwritten or done.code:
                os._exit(done.code)
        raise


def _is_flushed(stream: TextIO | None) -> bool:
    try:
        if stream is not None:  # as it is where the caller closed it
            stream.flush()
    except (OSError, ValueError):
        return False
    return True


def main(args: list[str] | None = None) -> NoReturn:
    """One command, as the console has it; raises SystemExit with its exit code."""
    gc.disable()  # collecting while modules load finds nothing and costs 28 of 441 ms
    os.environ.pop(SPEAKS_JSON, None)
    # looking for plugins opens every installed distribution, 15 ms of each run; dpone asks for none
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        code = cli.main(args=args, prog_name="dpone", standalone_mode=False)
    except click.exceptions.Exit as done:
        code = done.exit_code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except click.Abort:
        click.echo("aborted", err=True)
        code = 130
    except DponeError as error:
        if os.environ.get("DPONE_DEBUG"):
            raise
        show_error(error)
        code = error.exit_code
    except Exception as error:
        if os.environ.get("DPONE_DEBUG"):
            raise
        if isinstance(error, OSError) and error.errno in _OF_THIS_MACHINE:
            show_error(_refused_here(error))
            sys.exit(1)
        # the message of a foreign exception may quote what it was given, a password among it: only its kind is told
        click.echo(f"internal error: {type(error).__name__}", err=True)
        click.echo("  this is a fault of dpone; run again with --debug and report what it prints", err=True)
        code = 1
    except BaseException as error:
        code = getattr(error, "exit_code", None)
        if not isinstance(code, int):
            raise
        click.echo(f"interrupted by {error}; what was not yet visible was rolled back", err=True)
    sys.exit(code if isinstance(code, int) else 0)


# what this machine says of its disks, its rights and its limits, and of which no code of ours is at fault
_OF_THIS_MACHINE = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG),
        *(errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG),
        *(errno.EMFILE, errno.ENFILE, errno.ENOMEM),
    }
)


def _refused_here(error: OSError) -> DponeError:
    where = f": {error.filename}" if error.filename else ""
    return DponeError(
        f"this machine refuses: {error.strerror}{where}",
        code="machine.refused",
        hint="make room, or look at the rights of the folder, and run again; what was not yet visible was rolled back",
    )


def show_error(error: DponeError, stream: str | None = None) -> None:
    """One message: the code, of which stream where there are several, what was expected and found, what to do.

    JSON where the command speaks JSON.
    """
    if os.environ.get(SPEAKS_JSON):
        said = {"error": as_json(error)} if stream is None else {"stream": stream, "error": as_json(error)}
        click.echo(json.dumps(said, ensure_ascii=False), err=True)
        return
    where = "" if stream is None else f"{stream}: "
    click.echo(f"{click.style('error', fg='red', bold=True)} [{error.code}] {where}{error.message}", err=True)
    if error.hint:
        click.echo(f"  {error.hint}", err=True)


def as_json(error: DponeError) -> dict[str, object]:
    return {"code": error.code, "message": error.message, "hint": error.hint}
