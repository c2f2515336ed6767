"""What may become of a connection: the words of the contract."""

from __future__ import annotations

from credential_rotation.rotation.outcomes import (
    EXCLUSION_MEANS,
    GREEN,
    NO_CREDENTIAL,
    PROOF_MEANS,
    Exclusion,
    Outcome,
    Proof,
)


def test_the_outcomes_are_those_of_the_contract() -> None:
    assert {str(outcome) for outcome in Outcome} == {
        "updated",
        "unchanged",
        "planned",
        "failed",
        "gone",
        "not_attempted",
        "rolled_back",
        "excluded",
    }


def test_only_what_was_updated_or_needs_no_update_is_green() -> None:
    assert {str(outcome) for outcome in GREEN} == {"updated", "unchanged", "planned", "gone"}


def test_the_proofs_are_those_of_the_contract() -> None:
    assert [str(proof) for proof in Proof] == [
        "refresh_job",
        "query",
        "view_data",
        "snowflake_login",
        "saved",
        "none",
    ]


def test_every_proof_is_explained_in_words() -> None:
    assert set(PROOF_MEANS) == set(Proof)
    assert all(words.strip() for words in PROOF_MEANS.values())


def test_every_reason_is_explained_in_words() -> None:
    assert set(EXCLUSION_MEANS) == set(Exclusion)
    assert all(words.strip() for words in EXCLUSION_MEANS.values())


def test_the_reasons_of_the_contract_are_among_them() -> None:
    named = {"published_data_source", "not_snowflake", "oauth", "key_pair", "password_not_embedded", "filtered_out"}
    assert named | {"other_user", "other_account"} <= {str(reason) for reason in Exclusion}


def test_where_a_credential_is_lacking_is_told_apart() -> None:
    assert {str(reason) for reason in NO_CREDENTIAL} == {"other_account", "other_user"}
