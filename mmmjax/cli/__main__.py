"""``mmmjax`` and ``python -m mmmjax.cli``."""

import gc

# A command lives for seconds and tracing makes many objects that live as long as it does:
# looking for garbage among them all the time takes a tenth of that life.
gc.set_threshold(200_000, 50, 50)

from mmmjax.cli.app import main as main  # noqa: E402

if __name__ == "__main__":
    main()
