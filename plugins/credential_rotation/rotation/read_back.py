"""Which updates are read back by a request of their own: those of which it can show more than the answer does."""

from __future__ import annotations

from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.tableau.content import Connection, ContentType


class ReadBack:
    """Decides for the updates of one task; may be asked by several threads.

    Tableau's answer to an update may show anything or nothing; what a new request reads is what is there. But where an
    update changes nothing that can be seen, since the user is the same and only the secret, which Tableau never shows,
    is another, a new request shows no more than an answer that names the connection with its user. It costs as much as
    half the update, though. So these are read back: the first of each content type, each that is to be seen to have
    changed, and each whose answer does not show it.

    :param always: read each of them back, as is right for a canary
    """

    def __init__(self, *, always: bool = False) -> None:
        self._always = always
        self._agreed: set[ContentType] = set()

    def is_needed(self, target: ConnectionRecord, username: str, answer: Connection | None) -> bool:
        """Whether an update is to be read back.

        :param username: who was embedded
        :param answer: the connection as Tableau's answer shows it; None where it does not
        """
        if self._always or target.content_type not in self._agreed:
            return True
        return can_show(target, username) or answer is None or not holds(answer, username)

    def agreed(self, target: ConnectionRecord) -> None:
        """What was read back is as it should be."""
        self._agreed.add(target.content_type)


def can_show(target: ConnectionRecord, username: str) -> bool:
    """Whether an update changes anything that Tableau shows: another user, or that a password is embedded."""
    return target.username.casefold() != username.casefold() or target.embed_password is False


def holds(connection: Connection, username: str) -> bool:
    """Whether a connection shows that it embeds this user, as far as this version of Tableau shows it."""
    return connection.username.casefold() == username.casefold() and connection.embed_password is not False
