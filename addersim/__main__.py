"""``python -m addersim``: the command line."""

from addersim.cli import main

if __name__ == "__main__":
    main()
