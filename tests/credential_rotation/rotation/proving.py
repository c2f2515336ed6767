"""Proofs against the sandbox, whose clock takes the place of waiting."""

from __future__ import annotations

from dataclasses import dataclass, field

from credential_rotation.hooks.tableau import TableauHook
from credential_rotation.rotation.proof import Embedded, NotProved, Proved, Prover, Proving, Waiting
from credential_rotation.rotation.read_back import ReadBack
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.rotation.snowflake_words import SnowflakeRefused, refusal_in
from credential_rotation.rotation.update import embed_and_read_back
from credential_rotation.tableau.tableau_data import TableauData
from credential_rotation.tableau.tableau_site import TableauSite
from sandbox.tableau import TableauState
from tests.builders import ADDRESS
from tests.credential_rotation.rotation.on_the_sandbox import CREDENTIAL, TOKEN, find_targets, settled

TIME_LIMIT = 3600.0


@dataclass
class SignIn:
    """Airflow's own sign-in to the Snowflake behind the sandbox's Tableau."""

    state: TableauState
    problems: list[Exception] = field(default_factory=list)
    asked: list[Embedded] = field(default_factory=list)

    def __call__(self, embedded: Embedded) -> None:
        self.asked.append(embedded)
        if self.problems:
            raise self.problems.pop(0)
        answer = self.state.accounts.sign_in(
            address=ADDRESS, user=embedded.username, secret=embedded.secret, client="airflow"
        )
        if not answer.ok:
            raise SnowflakeRefused(answer.message, refusal_in(answer.message))


class Proofs:
    """Embeds a token in what the site holds, and proves that it connects."""

    def __init__(self, state: TableauState, hook: TableauHook) -> None:
        self.state = state
        self.tableau = TableauSite(hook)
        self.data = TableauData(hook)
        self.sign_in = SignIn(state)
        self.waits: list[float] = []
        for secret in CREDENTIAL.secrets:
            hook.keep_secret(secret)

    def now(self) -> float:
        """The time of the sandbox."""
        return self.state.clock.now().timestamp()

    def prover(self, *, check: bool = True, time_limit: float = TIME_LIMIT) -> Prover:
        """``check``: whether Airflow may sign in to Snowflake."""
        return Prover(self.data, self.sign_in if check else None, time_limit=time_limit, clock=self.now)

    def saved(self, name: str = "It") -> ConnectionRecord:
        """The connection of an item with that name, after the token was embedded in it."""
        [target] = [target for target in find_targets(self.tableau) if target.content_name == name]
        saved = embed_and_read_back(self.tableau, target, CREDENTIAL.login, TOKEN, ReadBack(always=True))
        assert saved.outcome is None
        return settled(self.tableau, saved)

    def begin(self, prover: Prover, target: ConnectionRecord) -> Proving:
        """The state of its proof."""
        return prover.begin(target.updated_in_tableau)

    def to_the_end(
        self, target: ConnectionRecord, prover: Prover | None = None, proving: Proving | None = None
    ) -> Proved | NotProved:
        """Step by step until it is known, with the waits that are asked for."""
        prover = prover or self.prover()
        proving = proving or self.begin(prover, target)
        for _ in range(500):
            step = prover.step(target.content, embedded(), proving)
            if not isinstance(step, Waiting):
                return step
            assert step.seconds > 0
            self.waits.append(step.seconds)
            self.state.clock.advance(seconds=step.seconds)
            proving = step.proving
        raise AssertionError("it is never known")

    def of(self, name: str = "It", *, check: bool = True) -> Proved | NotProved:
        """Embed, and prove to the end."""
        return self.to_the_end(self.saved(name), self.prover(check=check))


def embedded() -> Embedded:
    """What was embedded."""
    return Embedded(CREDENTIAL.conn_id, CREDENTIAL.login, TOKEN)
