"""``python -m mmmjax``: the command line."""

from mmmjax.cli.__main__ import main

if __name__ == "__main__":
    main()
