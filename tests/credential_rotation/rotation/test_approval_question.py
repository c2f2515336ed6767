"""What a person is shown who is to approve the updates."""

from __future__ import annotations

from collections.abc import Sequence

from credential_rotation.plan_files import Plan
from credential_rotation.rotation.approval_question import question
from credential_rotation.rotation.outcomes import PROOF_MEANS, Exclusion, Outcome, Proof
from credential_rotation.rotation.records import ConnectionRecord
from tests.builders import target

CANARY = target(1, canary=True, outcome=Outcome.UPDATED, proof=Proof.REFRESH_JOB)


def asked(plan: Sequence[ConnectionRecord], known: Sequence[ConnectionRecord]) -> str:
    """The question of a run that has this plan, and knows this of its connections."""
    follow = Plan("plan", 0, (), (), tuple(plan)).left(known)
    return question(plan, [record for record in known if record.canary], follow)


def test_it_says_what_was_validated_and_how() -> None:
    cells = ("snowflake\\_pat", "data source Sales › Orders 1", "ETL\\_USER", "updated", PROOF_MEANS[Proof.REFRESH_JOB])
    row = f"| {' | '.join(cells)} |"
    assert row in asked([target(1)], [CANARY]).splitlines()


def test_it_says_why_a_canary_failed() -> None:
    failed = target(1, canary=True, outcome=Outcome.FAILED, reason="Tableau answered 403")
    assert "| failed | Tableau answered 403 |" in asked([target(1)], [failed])


def test_it_counts_what_would_be_updated_next() -> None:
    plan = [target(1), target(2), target(3), target(4, project="Finance")]
    lines = asked(plan, [CANARY]).splitlines()
    assert "| snowflake\\_pat | data source | Sales | 2 |" in lines
    assert "| snowflake\\_pat | data source | Finance | 1 |" in lines
    assert lines[0] == "**3 connections would be updated next.**"


def test_it_does_not_offer_what_will_not_happen() -> None:
    """The rest of a credential whose canary failed is not updated, whatever the person answers; it is said how many."""
    plan = [
        target(1),
        target(2),
        target(3, snowflake_conn_id="snowflake_bi"),
        target(4, snowflake_conn_id="snowflake_bi"),
    ]
    failed = target(3, snowflake_conn_id="snowflake_bi", canary=True, outcome=Outcome.FAILED, reason="403")
    lines = asked(plan, [CANARY, failed]).splitlines()
    assert "| snowflake\\_pat | data source | Sales | 1 |" in lines
    assert not [line for line in lines if line.startswith("| snowflake\\_bi | data source | Sales")]
    assert "| snowflake\\_bi | 1 |" in lines


def test_it_counts_what_is_dealt_out_and_nothing_else() -> None:
    """Somebody has cleared tasks: what is done is not done again, and what failed is."""
    plan = [target(number) for number in range(1, 6)]
    done, failed = target(2, outcome=Outcome.UPDATED), target(3, outcome=Outcome.FAILED, reason="403", attempts=1)
    lines = asked(plan, [CANARY, done, failed]).splitlines()
    assert lines[0] == "**3 connections would be updated next.**"
    assert "| snowflake\\_pat | data source | Sales | 3 |" in lines


def test_what_is_dealt_out_is_what_it_is_told() -> None:
    lines = question([target(1), target(2), target(3)], [CANARY], [target(3)]).splitlines()
    assert lines[0] == "**1 connections would be updated next.**"
    assert "| snowflake\\_pat | data source | Sales | 1 |" in lines
    assert not [line for line in lines if line.startswith("### Held back")]


def test_what_the_plan_itself_says_has_failed_is_not_offered_nor_held_back() -> None:
    other = target(3, snowflake_conn_id="snowflake_bi", outcome=Outcome.FAILED, reason="of another user")
    lines = asked(
        [target(1), target(2, outcome=Outcome.FAILED, reason="of another user"), other], [CANARY]
    ).splitlines()
    assert lines[0] == "**0 connections would be updated next.**"
    assert not [line for line in lines if line.startswith("### Held back")]


def test_it_says_how_many_need_no_update() -> None:
    plan = [target(1), target(2), target(3, outcome=Outcome.UNCHANGED)]
    assert "1 more hold the current token already." in asked(plan, [CANARY])


def test_a_long_list_is_cut() -> None:
    plan = [target(number, project=f"Project {number:02}") for number in range(2, 60)]
    lines = asked(plan, [CANARY]).splitlines()
    assert "| snowflake\\_pat | data source | Project 41 | 1 |" in lines
    assert not [line for line in lines if "Project 42" in line]
    assert "... and 18 more rows." in lines


def test_it_counts_what_is_left_out_by_reason() -> None:
    left_out = [
        target(number, snowflake_conn_id=None, outcome=Outcome.EXCLUDED, reason=reason)
        for number, reason in enumerate([Exclusion.OAUTH, Exclusion.OTHER_USER, Exclusion.OTHER_USER])
    ]
    lines = asked([target(9), *left_out], []).splitlines()
    assert lines[-2:] == [
        "| other\\_user | a Snowflake user of none of the credentials | 2 |",
        "| oauth | signs in with OAuth | 1 |",
    ]


def test_names_do_not_become_markup() -> None:
    name = "<script>alert(1)</script> [x](http://evil) | `y` **z**\n# w"
    validated = target(2, content_name=name, canary=True, outcome=Outcome.UPDATED)
    shown = asked([target(1, content_name=name, project=name)], [validated])
    assert "<script>" not in shown
    assert "](http" not in shown
    assert "\n# w" not in shown
    for row, cells in (("### Validated", 6), ("### Would be updated next", 5)):
        lines = shown.splitlines()
        first = lines[lines.index(row) + 4]
        assert first.replace("\\|", "").count("|") == cells
