"""From a file to a result, as `gammatune train` goes; nothing that parses a command line comes in."""
