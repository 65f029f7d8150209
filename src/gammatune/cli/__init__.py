"""The command line: commands that parse and print; whatever decides, trains or reads files lies below."""

# What was a module once gives its public names still.
from gammatune.cli.app import app as app
from gammatune.cli.app import main as main
