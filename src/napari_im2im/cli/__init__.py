"""The command line: the commands of ``napari-im2im``.

Exit codes: 0 done, 1 the job failed, 2 the command can't be understood,
130 stopped with Ctrl-C.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from napari_im2im.errors import ConfigError, Im2ImError

if TYPE_CHECKING:
    from collections.abc import Sequence

DONE, FAILED, MISUSED, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line.

    Parameters
    ----------
    arguments
        Words after the program's name; default: those of this process.

    Returns
    -------
    int
        The exit code.
    """
    # Imported here, so that Ctrl-C and errors are met from the first moment on.
    from napari_im2im.cli.arguments import parse_command
    from napari_im2im.cli.commands import COMMANDS

    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        parse_command(words, COMMANDS).run()
    except KeyboardInterrupt as stop:
        _complain(f"Stopped. What was finished is kept. {stop}".rstrip())
        return INTERRUPTED
    except ConfigError as error:
        _complain(str(error))
        return MISUSED
    except Im2ImError as error:
        _complain(str(error))
        return FAILED
    return DONE


def _complain(sentence: str) -> None:
    sys.stderr.write(f"napari-im2im: {sentence}\n")
