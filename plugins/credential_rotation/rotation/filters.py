"""Narrowing a run to some of the content."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from fnmatch import fnmatchcase

from credential_rotation.tableau.content import Content


@dataclass(frozen=True)
class Filters:
    """Which content a run is for; what is empty does not narrow. Names are compared without regard to case."""

    projects: Collection[str] = ()
    exclude_projects: Collection[str] = ()
    owners: Collection[str] = ()
    tags: Collection[str] = ()
    content_name: str | None = None
    ids: Collection[str] = ()

    @property
    def narrow(self) -> bool:
        """Whether anything may be left out."""
        return any((self.projects, self.exclude_projects, self.owners, self.tags, self.content_name, self.ids))

    def take(self, content: Content, connection_id: str) -> bool:
        """Whether the run is for this connection of this item."""
        return self.take_content(content) and self._takes_id(content.id, connection_id)

    def take_content(self, content: Content) -> bool:
        """Whether the run is for this item, whatever LUIDs were asked for."""
        return (
            (not self.projects or _any_is(self.projects, content.project))
            and not _any_is(self.exclude_projects, content.project)
            and (not self.owners or _any_is(self.owners, content.owner))
            and (not self.tags or any(_any_is(self.tags, tag) for tag in content.tags))
            and (not self.content_name or fnmatchcase(_folded(content.name), _pattern(self.content_name)))
        )

    def _takes_id(self, *ids: str) -> bool:
        return not self.ids or any(_any_is(self.ids, luid) for luid in ids)


def _any_is(wanted: Collection[str], name: str) -> bool:
    return _folded(name) in {_folded(each) for each in wanted}


def _folded(name: str) -> str:
    # An accent may be a character of its own or not, depending on where a name was typed; both look the same.
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _pattern(glob: str) -> str:
    # "[Draft] Forecast" is a name that people give, and a set of characters to fnmatch.
    return _folded(glob).replace("[", "[[]")
