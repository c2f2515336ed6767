"""A session is sealed with a key that comes of the sign-in's own secret."""

from __future__ import annotations

import time

from credential_rotation.tableau.session import SessionSeal, TableauSession
from credential_rotation.tableau.settings import Auth, TableauSettings

SESSION = TableauSession("the|session|token", "site-id", "user-id", "3.26", "dag/run")


def seal(secret: str = "a-secret", site: str = "acme", login: str = "me") -> SessionSeal:
    return SessionSeal(TableauSettings("c", "https://bi.acme.example", site, Auth.PAT, login, secret))


def test_who_has_the_secret_opens_it() -> None:
    text = seal().seal(SESSION)
    assert seal().open(text) == SESSION
    assert "token" not in text


def test_nobody_else_does() -> None:
    text = seal().seal(SESSION)
    for other in (seal(secret="another"), seal(site="other"), seal(login="you")):
        assert other.open(text) is None


def test_no_two_fields_run_into_each_other() -> None:
    assert seal(secret="ab", login="c").open(seal(secret="a", login="bc").seal(SESSION)) is None


def test_a_weak_password_can_not_be_guessed_by_trying_millions() -> None:
    text = seal().seal(SESSION)
    started = time.perf_counter()
    seal(secret=f"a guess at {started}").open(text)
    assert time.perf_counter() - started > 0.01


def test_a_session_of_another_version_of_this_package_is_as_good_as_none() -> None:
    sealed = seal()
    assert seal().open(sealed.seal(SESSION).replace(".", ".x", 1)) is None
    assert sealed.open("") is None
