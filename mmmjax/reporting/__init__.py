"""Reports: one HTML file that opens anywhere and says what was found and how sure it is.

`evidence` gathers tables, `sentences` puts them into words, `html` draws and writes.
"""

from mmmjax.reporting.html import report as report

__all__ = ["report"]
