"""``python -m mmmjax.cli``: the same as the ``mmmjax`` command."""

from mmmjax.cli.app import main

if __name__ == "__main__":
    main()
