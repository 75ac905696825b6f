"""`python -m frumious`: the same program as the `frumious` command."""

from frumious.cli import main

if __name__ == "__main__":
    main()
