"""A Tableau site as this package sees it: what is there, which connections it embeds, and updating one of them.

The endpoints, the shape of their requests, and how lists are paged stand here and nowhere else.
https://help.tableau.com/current/api/rest_api/en-us/REST/rest_api_ref.htm
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from typing import Protocol
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element

from credential_rotation.tableau import tsxml
from credential_rotation.tableau.content import (
    ENDPOINTS,
    Connection,
    Content,
    ContentType,
    Endpoint,
    read_connection,
    read_content,
)
from credential_rotation.tableau.errors import (
    BadAnswer,
    ListKeptChanging,
    NotAllowed,
    NotFound,
    RequestRefused,
    TableauError,
    TableauTooOld,
)
from credential_rotation.tableau.success import CONNECTIONS, UPDATE, USERS, Success, listing
from credential_rotation.tableau.versions import ApiVersion

log = logging.getLogger(__name__)

PAGE_SIZE = 1000  # the most that Tableau allows
_MOST_READINGS = 5
# So many items are asked one by one, rather than looked up in a list.
_FEW = 3
_NO_SUCH_PAGE = "400006"
# Seconds before a list that is not found is asked for again.
_BEFORE_IT_IS_MISSING = (0.5, 2.0)


class SignedIn(Protocol):
    """Sends requests of a signed-in user: the hook, to this module."""

    base_url: str

    def version(self) -> ApiVersion:
        """The REST API version in use."""

    def call(self, method: str, endpoint: str, body: bytes | None = None, success: Success = ...) -> Element:
        """Send a request to an endpoint of the site, such as ``datasources?pageSize=10``."""


class NotOnThisSite(Exception):
    """A content type that this site, its licence or its version does not have."""


class TableauSite:
    """One site, through one signed-in session."""

    def __init__(self, api: SignedIn) -> None:
        self._api = api
        self._host = urlsplit(api.base_url).hostname or ""

    def content(self, content_type: ContentType) -> list[Content]:
        """Every item of a type that the signed-in user can see.

        :raises NotOnThisSite: when the site, its licence or its version lacks an optional type
        """
        endpoint = ENDPOINTS[content_type]
        if self._api.version() < endpoint.since:
            raise NotOnThisSite(f"REST API {self._api.version()} has no {content_type.words}s ({endpoint.since} has)")
        try:
            elements = self._read_elements(endpoint)
        except NotAllowed as error:
            hint = f"Give the user that right, or take '{content_type}' out of content_types."
            if endpoint.licensed:
                hint = (
                    f"Give the user that right; if the site has no {content_type.words}s (they need Data Management), "
                    f"say so in extra 'without' of its Airflow connection: [\"{content_type}\"]."
                )
            raise NotAllowed(f"{error} {hint}", status=error.status, code=error.code) from None
        except (NotFound, TableauTooOld) as error:
            if not endpoint.optional:
                raise
            raise NotOnThisSite(str(error)) from None
        return [read_content(element, content_type, self._host) for element in elements]

    def _read_elements(self, endpoint: Endpoint) -> list[Element]:
        """A list of content; one that a site of this version may lack is asked for again, since a 404 may pass."""
        for wait in _BEFORE_IT_IS_MISSING if endpoint.optional else ():
            try:
                return self._read_content(endpoint)
            except (NotFound, TableauTooOld) as error:
                log.info("%s: %s Asking again in %g s, since that may pass.", endpoint.path, error, wait)
                time.sleep(wait)
        return self._read_content(endpoint)

    def _read_content(self, endpoint: Endpoint) -> list[Element]:
        return self._read_list(endpoint.path, endpoint.element, listing(endpoint.path), endpoint.fields)

    def has(self, content: Content) -> bool:
        """Whether an item is there now, by what Tableau says of the item itself.

        :raises TableauError: when Tableau does not say: a list that is refused, or not found, makes no item gone
        """
        return self._item(content) is not None

    def connections(self, content: Content) -> list[Connection]:
        """The connections of an item, as they are now.

        :raises NotFound: they are not found; :meth:`has` says whether the item is gone
        """
        endpoint = ENDPOINTS[content.type]
        path = f"{endpoint.path}/{content.id}/connections"
        if endpoint.connections_are_paged:
            elements = self._read_list(path, endpoint.connection_element, CONNECTIONS)
            return [read_connection(element) for element in elements]
        root = self._api.call("GET", path, success=CONNECTIONS)
        return [read_connection(element) for element in root.iter(endpoint.connection_element)]

    def user_names(self) -> dict[str, str]:
        """The names of the site's users by LUID. Lists of content name owners by LUID only."""
        return {user.get("id", ""): user.get("name", "") for user in self._read_list("users", "user", USERS)}

    def updated_at(self, contents: Collection[Content]) -> dict[str, str]:
        """When each of these items was last changed, by LUID: empty where Tableau does not say, none for what is gone.

        A few items are asked for one by one; more are looked up in the list, as far as one reading of it shows them.
        """
        found: dict[str, str] = {}
        for content_type in sorted({content.type for content in contents}):
            of_type = [content for content in contents if content.type is content_type]
            if len(of_type) > _FEW or content_type is ContentType.VIRTUAL_CONNECTION:
                found |= self._listed_times(content_type, len(of_type))
            for content in of_type:
                if content.id not in found and (item := self._item(content)) is not None:
                    found[content.id] = item.updated_at
        return {content.id: found[content.id] for content in contents if content.id in found}

    def _listed_times(self, content_type: ContentType, wanted: int) -> dict[str, str]:
        """What the list says; only its beginning where that has more pages than there are items to be asked for."""
        endpoint, listed = ENDPOINTS[content_type], dict[str, Element]()
        pages = f"{endpoint.path}?pageSize={PAGE_SIZE}"
        self._read_pages(pages, endpoint.element, listing(endpoint.path), listed, most=wanted)
        items = (read_content(each, content_type, self._host) for each in listed.values())
        return {item.id: item.updated_at for item in items}

    def _item(self, content: Content) -> Content | None:
        """An item as it is now; None where it is gone.

        Of a virtual connection, of which no two sources agree how one is asked for, by the list.

        :raises TableauError: when Tableau does not say: a list that is refused, or not found, makes no item gone
        """
        endpoint = ENDPOINTS[content.type]
        if content.type is ContentType.VIRTUAL_CONNECTION:
            listed = (read_content(each, content.type, self._host) for each in self._read_elements(endpoint))
            return next((item for item in listed if item.id == content.id), None)
        try:
            root = self._api.call("GET", f"{endpoint.path}/{content.id}", success=Success((endpoint.element,)))
        except NotFound:
            return None
        return read_content(next(root.iter(endpoint.element)), content.type, self._host)

    def embed(self, content: Content, connection: Connection, username: str, password: str) -> Connection | None:
        """Embed a user and password in a connection; its address and port are sent back as they were read.

        Tableau answers 200 to any password. Neither ``authenticationType`` (Tableau Cloud refuses it: KB 005321816) nor
        ``queryTaggingEnabled`` is ever sent, and no attribute without a value (``serverPort=""`` is no integer).

        :return: the connection as Tableau's answer shows it; None where it does not show it
        :raises EmptyAnswer: when Tableau did not say that it saved anything
        :raises TableauError: as described there
        """
        attributes = {"serverAddress": connection.server_address, "serverPort": connection.server_port}
        attributes = {name: value for name, value in attributes.items() if value}
        attributes |= {"userName": username, "password": password}
        path = f"{ENDPOINTS[content.type].path}/{content.id}/connections/{connection.id}"
        if content.type is ContentType.VIRTUAL_CONNECTION:
            answer = self._embed_in_virtual_connection(path, attributes)
        else:
            answer = self._api.call("PUT", path, _connection_request(attributes | {"embedPassword": "true"}), UPDATE)
        shown = answer.iter(ENDPOINTS[content.type].connection_element)
        return next((read_connection(each) for each in shown if connection.id in _ids(each)), None)

    def _embed_in_virtual_connection(self, path: str, attributes: dict[str, str]) -> Element:
        body = _connection_request(attributes)
        try:
            return self._api.call("PUT", f"{path}/modify", body, UPDATE)
        except TableauError as error:
            if error.status not in (404, 405):
                raise
            # server-client-python PR #1628 tried /modify live; Tableau's Postman collection has it without.
            return self._api.call("PUT", path, body, UPDATE)

    def _read_list(self, path: str, element: str, success: Success, fields: str = "") -> list[Element]:
        """A whole list, by LUID, though items come and go while its pages are read.

        What was deleted meanwhile moves the rest forward, and something slips from a page not yet read to one already
        read. Most often the total changes then, or an item comes twice; not so when another item was created at the
        same time. So a list of several pages is read until it stands still and a further reading finds nothing new.
        """
        path_and_size = f"{path}?pageSize={PAGE_SIZE}" + (f"&fields={fields}" if fields else "")
        seen: dict[str, Element] = {}
        for reading in range(1, _MOST_READINGS + 1):
            known = len(seen)
            pages = self._read_pages(path_and_size, element, success, seen)
            if pages == 1 or (pages and reading > 1 and len(seen) == known):
                return list(seen.values())
            if not pages or reading > 1:
                log.info("%s changed while it was read (reading %d); reading it again.", path, reading)
        raise ListKeptChanging(f"{path} changed each of the {_MOST_READINGS} times that it was read.")

    def _read_pages(
        self, path: str, element: str, success: Success, seen: dict[str, Element], *, most: int | None = None
    ) -> int:
        """Read all pages once into ``seen``; how many there were, or 0 when the list did not stand still meanwhile.

        :param most: where there are more pages than that, only the first is read
        """
        totals: set[int] = set()
        in_this_reading: set[str] = set()
        number, read = 1, 0
        while True:
            try:
                root = self._api.call("GET", f"{path}&pageNumber={number}", success=success)
            except RequestRefused as error:
                if error.code == _NO_SUCH_PAGE and number > 1:
                    return 0  # What was deleted meanwhile emptied this page.
                raise
            page = list(root.iter(element))
            total = _total(root, path)
            if total is None:
                # No paging in the answer: then it is all there is.
                seen.update((_luid(found), found) for found in page)
                return 1
            totals.add(total)
            read += len(page)
            seen.update((_luid(found), found) for found in page)
            in_this_reading.update(_luid(found) for found in page)
            if not page or read >= total or (most is not None and total > most * PAGE_SIZE):
                break
            number += 1
        stood_still = read >= total if number == 1 else len(totals) == 1 and len(in_this_reading) == read == total
        return number if stood_still else 0


def _ids(element: Element) -> tuple[str | None, str | None]:
    return element.get("id"), element.get("connectionId")


def _luid(element: Element) -> str:
    luid = next(filter(None, _ids(element)), None)
    if not luid:
        raise BadAnswer(f"Tableau's answer lists a <{element.tag}> without an id.")
    return luid


def _total(root: Element, path: str) -> int | None:
    pagination = root.find("pagination")
    if pagination is None:
        return None
    try:
        return int(pagination.get("totalAvailable", ""))
    except ValueError:
        raise BadAnswer(f"GET {path}: the answer does not say how many there are in all.") from None


def _connection_request(attributes: dict[str, str]) -> bytes:
    return tsxml.request(Element("connection", attributes))
