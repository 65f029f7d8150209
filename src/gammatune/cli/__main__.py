"""`python -m gammatune.cli`."""

from gammatune.cli.app import main

if __name__ == "__main__":
    main()
