"""The command line: the same engine for people who live in files."""

from mmmjax.cli.app import app as app
from mmmjax.cli.app import main as main
from mmmjax.cli.app import run as run

__all__ = ["app", "main", "run"]
