"""The output of commands on the terminal, and their ends by errors and signals."""

import contextlib
import errno
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from pipelines.caches import redirect_caches
from pipelines.flags.parsing import fail, one_line, until_unread
from pipelines.output import JSON, OUTPUT, JsonTerminal, Terminal
from pipelines.runs.interruption import Interruption, interruptible
from rt_tf.command_line import called
from rt_tf.errors import UserError

REFUSED = 1
WIDE = 1000  # columns


def begin_output(form: str, stage: str) -> None:
    """Sets the form of all that this process prints, and the stage that its lines name."""
    OUTPUT.form, OUTPUT.stage = form, stage


def console(quiet: bool) -> Terminal:
    """The console of progress; results are printed whatever `quiet` says."""
    return terminal(quiet=quiet, soft_wrap=True)


def terminal(**options: Any) -> Terminal:
    """A console that shows text unchanged; wide enough for all lines where it is no terminal."""
    if not (sys.stdout.isatty() or "file" in options or "COLUMNS" in os.environ):
        options = {"width": WIDE, **options}
    kind = JsonTerminal if OUTPUT.form == JSON else Terminal
    return kind(**options)


@contextlib.contextmanager
def one_line_errors(goes_on: bool = True) -> Iterator[None]:
    """Ends the process with one line for a user's mistake, a full disk or a signal to end.

    Errors of this library keep a traceback. goes_on: whether the same command goes on where it was.
    """
    then = ": the same command goes on from here" if goes_on else ""
    try:
        with until_unread(), interruptible():
            yield
    except UserError as error:
        fail(str(error))
    except KeyboardInterrupt as error:
        cause = error if isinstance(error, Interruption) else Interruption(signal.SIGINT)
        print(f"{cause}{then}", file=sys.stderr)
        raise SystemExit(cause.status) from None
    except Exception as error:
        if not _disk(error):
            raise
        fail(f"disk: expected room to write; {_disk(error)}{then.replace(':', ';')}")


def refuse(line: str) -> NoReturn:
    """Prints one line on stderr and exits with the status of a negative result."""
    print(one_line(line), file=sys.stderr)
    raise SystemExit(REFUSED)


def import_tensorflow() -> None:
    """Imports TensorFlow, silencing its C++ parts before their logging is set up.

    Called once flags and run directory are known to be in order, since it takes seconds.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if line := redirect_caches():
        print(f"hint: {line}", file=sys.stderr)
    sys.stderr.flush()
    stderr = os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
    tf.get_logger().setLevel("ERROR")


def _disk(error: BaseException | None) -> str:
    """The text of a write that failed for want of room, in any library; empty for other errors."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
            return str(error)
        text = str(error)
        for number in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
            if os.strerror(number) in text:
                return os.strerror(number)
        error = error.__cause__ or error.__context__
    return ""


def flag(name: str, value: Any) -> str:
    """A flag of a command to be pasted into a shell, whatever its value holds."""
    return f"--{name}={shlex.quote(str(value))}"


def tell_next(on: Terminal, model_dir: Any, certifiable: bool) -> None:
    """Prints the commands that follow a finished run. certifiable: its threat has bounds."""
    this_run = flag("model_dir", model_dir)
    certify = f"{called('certify')} {this_run} --epsilon=<radius>"
    commands = [
        f"open {shlex.quote(f'{model_dir}/report/report.html')}",
        f"tensorboard {flag('logdir', f'{model_dir}/logs')}",
        *([certify] if certifiable else []),
        f"{called('evaluate')} {this_run} --eval_restarts=10",
    ]
    on.tell("next", "\n  ".join(["next:", *commands]), commands=commands)
