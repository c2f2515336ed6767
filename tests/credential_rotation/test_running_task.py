"""What a task says of what goes wrong."""

from __future__ import annotations

from credential_rotation.running_task import in_words
from credential_rotation.token_stores.kept import StoreUnusable


def test_only_what_is_written_for_people_is_quoted() -> None:
    assert in_words(StoreUnusable("the Variable can't be read")) == "the Variable can't be read"
    assert in_words(KeyError("token_secret=abc")) == "KeyError"
    assert in_words(ValueError("could not convert abc")) == "ValueError"
