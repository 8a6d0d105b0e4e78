"""The commands of the program `jglm`, one module each; `jglm.cli` puts them together.

A command is a module with

    HELP            what it does, in a line
    EXAMPLES        command lines, shown below its help
    options(parser) its arguments
    run(arguments)  the work; returns one of `exitcodes`

which imports nothing of weight until it runs: `jglm --help` and completion import every one of them.
"""
