"""jglm completion: a script by which a shell completes commands, options, families and files."""

from jglm.commandline import exitcodes

HELP = "print a script for the shell's completion"
EXAMPLES = """examples:
  jglm completion bash > ~/.local/share/bash-completion/completions/jglm
  jglm completion zsh > ~/.zfunc/_jglm
  jglm completion tcsh > /etc/profile.d/jglm.completion.csh
"""
FILES = ("DATA", "MODEL", "LARGER", "FILE")
FOLDERS = ("FOLDER",)


def options(parser):
    parser.add_argument("shell", choices=["bash", "zsh", "tcsh"])


def run(arguments):
    import shtab

    print(shtab.complete(prepared(arguments.program), shell=arguments.shell))
    return exitcodes.DONE


def prepared(parser):
    """The parser with what completes each argument: files, folders, and the names of families and links."""
    import shtab

    names = {"family": _families(), "link": _links()}
    for own in _subparsers(parser):
        for action in own._actions:
            if action.metavar in FILES:
                action.complete = shtab.FILE
            elif action.metavar in FOLDERS:
                action.complete = shtab.DIRECTORY
            elif getattr(action, "jglm_completes", None):
                action.choices = names[action.jglm_completes]
    return parser


def _subparsers(parser):
    return next(a for a in parser._actions if hasattr(a, "add_parser")).choices.values()


def _families():
    from jglm import families

    return list(families.catalogue())


def _links():
    from jglm import links

    return list(links.NAMES)
