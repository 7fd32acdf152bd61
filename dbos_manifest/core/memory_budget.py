"""How much of a manifest is in memory at once. Every bound derives from the two numbers of one budget."""

from __future__ import annotations

from typing import NamedTuple


class MemoryBudget(NamedTuple):
    """Bounds on what one step holds, so that memory does not grow with the number of workflows.

    Two things can be large: how many workflows there are, and how large the values of each are. A step
    therefore ends its batch at `batch_size` workflows or at a number of bytes, whichever comes first.
    Units: bytes are those of the values as JSON text (`columns.weigh`). Python's objects for them take
           several times as much, and a batch exists in a few forms at once (values, rows, COPY text), so an
           apply may peak at about ten times `held_bytes` when arguments are very large.
    """

    held_bytes: int = 32 * 2**20
    """Values that are kept: the arguments of a batch on its way to or from the database, the inner
    combinations of a matrix, the values that are read ahead to go backwards."""

    batch_size: int = 1_000
    """Workflows of a batch where the caller has no size of its own. Larger batches are hardly faster."""

    @property
    def evaluated_bytes(self) -> int:
        """Bound the values that expressions make for one batch; less, since a batch has many columns."""
        return self.held_bytes // 4

    @property
    def encoded_bytes(self) -> int:
        """Bound the arguments that are encoded together only to be searched: few enough for a CPU cache."""
        return self.held_bytes // 128

    @property
    def held_combinations(self) -> int:
        """Bound the combinations that are kept, for whose small cells bytes of JSON are no measure."""
        return self.held_bytes // 1_600

    @property
    def held_texts(self) -> int:
        """Bound the short texts, such as the ticks of a schedule, that are kept instead of computed again."""
        return self.held_bytes // 320


BUDGET = MemoryBudget()
