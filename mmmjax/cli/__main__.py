"""``mmmjax``, ``python -m mmmjax`` and ``python -m mmmjax.cli``."""

import gc
import sys

# A command lives for seconds and tracing makes many objects that live as long as it does:
# looking for garbage among them all the time takes a tenth of that life.
gc.set_threshold(200_000, 50, 50)

try:
    from mmmjax.cli.app import main as main
except ValueError as error:  # JAX reads its settings of the environment when imported
    if "JAX" not in str(error):
        raise
    sys.exit(f"Error {error}")
except KeyboardInterrupt:  # before there is a command that could say so
    sys.exit(130)

if __name__ == "__main__":
    main()
