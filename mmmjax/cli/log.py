"""What a run says on standard error: its phases in words, or everything as JSON."""

import json
import logging
import sys
import time
from typing import Any

from mmmjax.findings import LOG

__all__ = ["FORMS", "listen"]

FORMS = ("text", "json")
PLAIN = {"event", "seconds", "chain", "done", "draws", "divergences", "status"}


class Lines(logging.Handler):
    """A line a record: phases in words, or every record as JSON.

    Args:
        form: "text" or "json".
    """

    def __init__(self, form: str) -> None:
        """Draws are too many to read, so that only JSON has them."""
        super().__init__(logging.DEBUG if form == "json" else logging.INFO)
        self.form = form

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        more = {k: v for k, v in vars(record).items() if k in PLAIN}
        if self.form == "json":
            when = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(record.created))
            said: dict[str, Any] = {"time": when, "level": record.levelname.casefold()}
            said |= {"event": "finding"} | more | {"message": record.getMessage()}
            print(json.dumps(said, default=int), file=sys.stderr, flush=True)
        elif more.get("event") == "phase":
            after = f" after {more['seconds']} s" if "seconds" in more else ""
            print(f"{record.getMessage()}{after}", file=sys.stderr, flush=True)


def listen(form: str | None) -> None:
    """Write what is logged from now on, in one form; None: nothing."""
    for handler in [h for h in LOG.handlers if isinstance(h, Lines)]:
        LOG.removeHandler(handler)
    LOG.setLevel(logging.NOTSET if form is None else logging.DEBUG)
    if form is not None:
        LOG.addHandler(Lines(form))
