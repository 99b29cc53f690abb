"""The commands, and what becomes of errors: one line and an exit code."""

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from molweave.cli import (
    check,
    doctor,
    embed,
    evaluate,
    explain_memory,
    fit,
    info,
    predict,
    prepare,
    pretrain,
)
from molweave.cli.interrupt import was_terminated
from molweave.cli.streams import silence_output
from molweave.errors import UserError

OK, USER_ERROR, INTERRUPTED, BROKEN_PIPE, TERMINATED = 0, 2, 130, 141, 143
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]
_SPARE = "lower batch_size where something is trained, or use --device cpu or a larger machine"
_SETTINGS = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    name="molweave",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings=_SETTINGS,
    help="Fit models of molecular properties and use them.",
    epilog="Exit codes: 0 fine, 1 a bug in molweave, 2 something you can mend, 130 interrupted "
    "(Ctrl-C), 141 the reader of the output went away, 143 terminated (SIGTERM).",
)
app.command("fit")(fit.fit)
app.command("train", hidden=True)(fit.fit)
app.command("predict")(predict.predict)
app.command("embed")(embed.embed)
app.command("fingerprint", hidden=True)(embed.embed)
app.command("evaluate")(evaluate.evaluate)
app.command("info")(info.info)
app.command("explain-memory")(explain_memory.explain_memory)
app.command("prepare")(prepare.prepare)
app.command("pretrain")(pretrain.pretrain)
app.command("check")(check.check)
app.command("doctor")(doctor.doctor)


def _print_version(wanted: bool) -> bool:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"molweave {version('molweave')}")
        raise typer.Exit
    return wanted


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            metavar="",
            callback=_print_version,
            is_eager=True,
            help="Print the version and exit.",
        ),
    ] = False,
) -> None:
    """Options of the program as a whole."""


def run(arguments: Sequence[str]) -> int:
    """Run one command.

    Args:
        arguments: as typed, without the name of the program; none shows the help.

    Returns:
        The exit code. A bug in molweave is not caught: its traceback is what we need to mend it.
    """
    try:
        return _dispatch(list(arguments) or ["--help"])
    except UserError as error:
        return _fail(str(error), USER_ERROR)
    except _UsageError as error:
        return _fail(_usage(error), USER_ERROR)
    except (KeyboardInterrupt, typer.Abort) as stop:
        hint = f"; {stop}" if str(stop) else ""
        if was_terminated():
            return _fail(f"terminated{hint}", TERMINATED, label="")
        return _fail(f"interrupted{hint}", INTERRUPTED, label="")
    except (MemoryError, RuntimeError) as error:
        if not _is_full(error):
            raise
        reason = str(error).partition(". ")[0]
        return _fail(f"memory ran out{f' ({reason})' if reason else ''}; {_SPARE}", USER_ERROR)
    except BrokenPipeError:
        silence_output()
        return BROKEN_PIPE


def _is_full(error: Exception) -> bool:
    """Whether the memory of the computer or of its GPU ran out; torch may not be loaded."""
    torch = sys.modules.get("torch")
    return isinstance(error, MemoryError) or (
        torch is not None and isinstance(error, torch.OutOfMemoryError)
    )


def _dispatch(arguments: list[str]) -> int:
    command = typer.main.get_command(app)
    try:
        with command.make_context("molweave", arguments) as context:
            command.invoke(context)
    except typer.Exit as end:
        return end.exit_code
    sys.stdout.flush()
    return OK


_WANTED = {
    "int_parsing": "takes a whole number",
    "int_from_float": "takes a whole number",
    "float_parsing": "takes a number",
    "bool_parsing": "takes true or false",
    "bool_type": "takes true or false",
    "greater_than_equal": "must be at least {ge}",
}
"""What pydantic's kinds of error, which newer versions of typer pass on, mean."""


def _usage(error: Exception) -> str:
    message = _plain(error) or error.format_message()  # type: ignore[attr-defined]
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "molweave"
    return f"{message[:1].lower()}{message[1:].rstrip('.')}; see {path} --help"


def _plain(error: Exception) -> str:
    """A value of the wrong kind in our words; empty for every other mistake."""
    details: list[dict[str, Any]] = getattr(error.__cause__, "errors", list)()
    parameter = getattr(error, "param", None)
    if not details or parameter is None or details[0]["type"] not in _WANTED:
        return ""
    wanted = _WANTED[details[0]["type"]].format(**details[0].get("ctx", {}))
    return f"{max(parameter.opts, key=len)} {wanted}; found {details[0]['input']!r}"


def _fail(message: str, code: int, *, label: str = "error: ") -> int:
    print(label + " ".join(message.split()), file=sys.stderr)  # noqa: T201
    return code
