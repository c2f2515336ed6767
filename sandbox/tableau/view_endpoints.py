"""Views of a workbook and their data, which a cache may serve without asking the database."""

from __future__ import annotations

from datetime import timedelta

from sandbox.tableau.answers import Answer, Element, listing
from sandbox.tableau.call import Call
from sandbox.tableau.content import Content, View
from sandbox.tableau.data_access import failure_of
from sandbox.tableau.errors import TableauError, bad_request, forbidden, not_found


def list_views(call: Call) -> Answer:
    """The views of a workbook."""
    workbook = call.content()
    views = [
        Element(
            "view",
            {"id": view.id, "name": view.name, "contentUrl": f"{workbook.content_url}/sheets/{number}"},
            [listing("tags", [])],
        )
        for number, view in enumerate(workbook.views, start=1)
    ]
    return Answer(elements=[listing("views", views)])


def view_data(call: Call) -> Answer:
    """The data of a view as CSV: out of the cache if it is young enough, else from the database."""
    workbook, view = _view(call)
    if call.live.user.name in workbook.denied_to:
        raise forbidden()
    max_age = call.query.get("maxAge")
    if max_age is not None and (not max_age.isdigit() or int(max_age) < 1):
        raise bad_request(f"maxAge '{max_age}' is not a whole number of minutes of at least one.")
    minutes = float(max_age) if max_age is not None else call.state.cache_minutes
    now = call.state.clock.now()
    if view.fetched_at is None or now - view.fetched_at > timedelta(minutes=minutes):
        # a workbook on an extract reads the extract: that proves nothing about the secret
        failure = None if workbook.has_extracts else failure_of(call.state, workbook)
        if failure is not None:
            status, code = call.state.view_failure
            raise TableauError(code, failure, status=status)
        view.fetched_at = now
    return Answer(body=b"Region,Amount\r\nNorth,1\r\n", content_type="text/csv;charset=utf-8")


def _view(call: Call) -> tuple[Content, View]:
    luid = call.parameters["view_id"]
    for content in call.site.contents:
        for view in content.views:
            if view.id == luid:
                return content, view
    raise not_found("view", luid)
