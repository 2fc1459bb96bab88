"""Live progress of a backtest: a row per fold, redrawn on its own clock."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from mmmjax.findings import LOG
from mmmjax.infer.progress import Display, Progress

__all__ = ["Watch"]


class Watch(Display):
    """How far every fold and model is; silent when ``show`` is False.

    Args:
        folds: What to call each fold.
        models: The models that are sampled, and what to call them.
        show: True, False, or None for a terminal only.
        console: Where to draw; standard error by default.
    """

    def __init__(
        self,
        folds: Sequence[str],
        models: Mapping[str, str],
        show: bool | None = None,
        console: Console | None = None,
    ):
        """Nothing is drawn before ``with``."""
        super().__init__(show, console)
        self.folds, self.models = list(folds), dict(models)
        self.running: dict[tuple[int, str], Progress] = {}
        self.ended: dict[tuple[int, str], str] = {}

    def start(self, fold: int, model: str, chains: int) -> Progress:
        """Begin a fit; the sampler counts in what is returned."""
        progress = Progress(chains, False)
        progress.logged = False
        self.running[fold, model] = progress
        return progress

    def end(self, fold: int, model: str, text: str) -> None:
        """Say how a fit ended."""
        self.ended[fold, model] = text
        said = f"trained to {self.folds[fold]}, {self.models[model]}: {text}"
        LOG.info("%s", said, extra={"event": "phase"})

    def table(self) -> Table:
        """Build the table."""
        table = Table(box=None, padding=(0, 1))
        for name in ("trained to", *self.models.values()):
            table.add_column(name, justify="left")
        for fold, label in enumerate(self.folds):
            table.add_row(label, *(self._cell(fold, model) for model in self.models))
        return table

    def _cell(self, fold: int, model: str) -> str:
        if (fold, model) in self.ended:
            return self.ended[fold, model]
        if (progress := self.running.get((fold, model))) is None:
            return ""
        whole = progress.total * len(progress.done)
        share = progress.done.sum() / whole if whole else 0.0
        return f"{progress.name} {share:4.0%}"
