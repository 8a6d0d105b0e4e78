"""The program `jglm`: its commands, their errors as one line, and its exit codes (`jglm.commandline.exitcodes`)."""

import argparse
import importlib
import os
import re
import sys
import warnings

from jglm.commandline import exitcodes, terminal

COMMANDS = (
    "fit", "predict", "summary", "report", "export", "path", "cv", "bootstrap", "anova", "test", "compare", "check",
    "families", "demo", "lab", "completion",
)  # fmt: skip
EXAMPLES = """examples:
  jglm fit policies.parquet "claims ~ age + C(region)" --family poisson --exposure years --out model.jglm
  jglm predict model.jglm new.csv --out predicted.csv
  jglm summary model.jglm
  jglm COMMAND --help     # the options of a command, with examples
"""
# What the values, files or options of a user lead to; anything else is an error of jglm's own.
FORESEEN = (ValueError, TypeError, OSError, ImportError)


class Parser(argparse.ArgumentParser):
    """argparse's, whose messages can hold nothing that a terminal would act upon, and to which a word with one dash in
    front is a value, such as -inf or -log(-eta), where it is no option."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self._negative_number_matcher = re.compile("-[^-]")

    def error(self, message):
        super().error(terminal.safe(message))


def parser():
    """The argument parser of the program. It imports the commands' modules, but neither JAX nor pandas."""
    layout = argparse.RawDescriptionHelpFormatter
    main = Parser(
        prog="jglm", description="Generalized linear models from the log-partition alone.",
        epilog=f"{EXAMPLES}\n{exitcodes.TEXT}", formatter_class=layout,
    )  # fmt: skip
    from jglm import __version__

    main.add_argument("--version", action="version", version=f"jglm {__version__}")
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        module = command(name)
        own = commands.add_parser(
            name, help=module.HELP, description=f"{module.HELP[0].upper()}{module.HELP[1:]}.", epilog=module.EXAMPLES,
            formatter_class=layout,
        )  # fmt: skip
        module.options(own)
        own.add_argument("--traceback", action="store_true", help="show where an error came from")
    return main


def command(name):
    """The module of a command."""
    return importlib.import_module(f"jglm.commandline.{name}")


def main(argv=None):
    """Run the command line; returns the exit code."""
    program = parser()
    arguments = program.parse_args(argv)
    arguments.given, arguments.program = argv, program
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", UserWarning)  # they are said, whatever Python was told to do with them
            warnings.showwarning = lambda message, *_, **__: terminal.note(f"warning: {message}")
            code = command(arguments.command).run(arguments)
            sys.stdout.flush()
            return code
    except BrokenPipeError:  # the reader has seen enough; what is still buffered must not be written at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exitcodes.DONE
    except KeyboardInterrupt:
        terminal.note("interrupted")
        return exitcodes.INTERRUPTED
    except Exception as error:
        if arguments.traceback:
            raise
        return failed(error)


def failed(error):
    """Tell an error in one line; its exit code."""
    if isinstance(error, FORESEEN):
        terminal.note(f"error: {error}")
        return exitcodes.BAD_INPUT
    terminal.note(f"error: {type(error).__name__}: {error} (not foreseen; --traceback shows where)")
    return exitcodes.UNEXPECTED
