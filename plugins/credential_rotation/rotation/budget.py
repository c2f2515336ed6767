"""How many connections may fail before no new update is started."""

from __future__ import annotations

import math
from dataclasses import dataclass

from credential_rotation.rotation.wrong_input import UnusableParams

BUDGET_SPENT = "too many connections failed before its turn came (max_failures)"


@dataclass(frozen=True)
class Hold:
    """Why a new update must not start; ``retriable`` where a later try of its task may find that changed."""

    reason: str
    retriable: bool


@dataclass(frozen=True)
class Failures:
    """Connections that stand as failed now: for good, or in a way that the next try of their task may mend."""

    final: int = 0
    passing: int = 0

    def hold(self, most: int | None) -> Hold | None:
        """Why no new update may start when ``most`` failures are allowed; None for ``most``: as many as there are.

        Failures that may pass hold new updates up, but do not end the run: the next try may find Tableau well again.
        """
        if most is None or self.final + self.passing <= most:
            return None
        return Hold(BUDGET_SPENT, retriable=self.final <= most)


@dataclass(frozen=True)
class FailureBudget:
    """The most failures after which updates still go on: a number, or a share of the targets."""

    count: int | None = None
    percent: float | None = None

    @classmethod
    def parse(cls, value: int | str) -> FailureBudget:
        """Read ``3`` or ``"10%"``.

        :raises UnusableParams: when it is neither
        """
        text = str(value).strip()
        number, percent, rest = text.partition("%")
        try:
            amount = float(number) if percent else int(number)
        except ValueError:
            amount = -1
        # Written so that it refuses "nan%" as well.
        in_range = 0 <= amount <= (100 if percent else math.inf)
        if isinstance(value, bool) or rest or not in_range:
            raise UnusableParams(
                f'max_failures: {value!r} is neither a number such as 3 nor a percentage such as "10%".'
            )
        return cls(percent=float(amount)) if percent else cls(count=int(amount))

    def of(self, targets: int) -> int:
        """The most failures among this many targets; a percentage allows at least one."""
        if self.percent is None:
            return self.count or 0
        return max(1, int(targets * self.percent / 100)) if self.percent else 0
