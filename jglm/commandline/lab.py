"""jglm lab: a local page on which the ideas of the library move."""

from jglm.commandline import exitcodes, terminal

HELP = "open a page on this machine to try the ideas out: sliders, points to drag, an a(eta) to write"
EXAMPLES = """examples:
  jglm lab
  jglm lab --port 8765 --no-browser     # then open http://127.0.0.1:8765/ yourself

Only this machine can reach it. Ctrl-C ends it.
"""


def options(parser):
    parser.add_argument("--port", type=int, default=0, metavar="N", help="the port (default: any that is free)")
    parser.add_argument("--no-browser", action="store_true", help="print the address and open no browser")


def run(arguments):
    from jglm.lab import server

    if not 0 <= arguments.port <= 65535:
        raise ValueError(f"--port is {arguments.port}; a port is a number from 1 to 65535")
    server.run(arguments.port, browser=not arguments.no_browser, say=terminal.say)
    return exitcodes.DONE
