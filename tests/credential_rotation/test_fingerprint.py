"""A fingerprint recognises its secret and tells nothing of it."""

from __future__ import annotations

import pytest

from credential_rotation.fingerprint import fingerprint, is_of


def test_it_recognises_its_own_secret_and_no_other() -> None:
    text = fingerprint("today's token")
    assert is_of(text, "today's token")
    assert not is_of(text, "today's token ")
    assert not is_of(text, "")


@pytest.mark.parametrize("secret", ["today's token", "ä𝄞", "x" * 256])
def test_it_holds_neither_the_secret_nor_what_it_was_made_of_the_last_time(secret: str) -> None:
    one, other = fingerprint(secret), fingerprint(secret)
    assert secret not in one
    assert one != other
    assert is_of(one, secret)
    assert is_of(other, secret)
