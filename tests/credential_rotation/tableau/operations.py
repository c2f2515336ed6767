"""Every operation of this package, done on a sandbox where nothing is wrong but what a test scripts."""

from __future__ import annotations

from credential_rotation.hooks.tableau import TableauHook
from credential_rotation.tableau.content import ContentType
from credential_rotation.tableau.tableau_data import TableauData
from credential_rotation.tableau.tableau_site import TableauSite
from sandbox.tableau import TableauServer, snowflake_connection

LISTS = ("list_datasources", "list_workbooks", "list_flows", "list_virtual_connections", "list_users")
DATABASE = ("read_metadata", "query_datasource", "view_data")
# By these, Tableau says that it is done by the status alone.
MAY_BE_EMPTY = ("sign_out", "cancel_job")
SIGNING_IN = ("server_info", "sign_in")
OTHERS = ("query_connections", "update_connection", "get_datasource", "refresh", "get_job", "list_jobs", "list_views")
EVERY_OPERATION = (*SIGNING_IN, *LISTS, *OTHERS, *DATABASE, *MAY_BE_EMPTY)


class Operations:
    """Does what takes a request, by the name of that request's operation."""

    def __init__(self, hook: TableauHook, server: TableauServer) -> None:
        site = server.state.site
        server.state.accounts.add_account("acme-prod").add_user("ETL_USER", ["old-secret"])
        self._hook = hook
        self._server = server
        self._orders = site.add_datasource("Orders", has_extracts=True, connections=[snowflake_connection()])
        self._live = site.add_datasource("Live", connections=[snowflake_connection()])
        self._overview = site.add_workbook("Overview", connections=[snowflake_connection()])

    def __call__(self, operation: str) -> object:
        if operation in SIGNING_IN:
            return self._hook.version()
        tableau, data = TableauSite(self._hook), TableauData(self._hook)
        found = {each.id: each for kind in ContentType for each in tableau.content(kind)}
        orders, live, overview = (found[each.id] for each in (self._orders, self._live, self._overview))
        connection = tableau.connections(orders)[0]
        queue = self._server.state.queue_job
        return {
            "list_users": tableau.user_names,
            "query_connections": lambda: tableau.connections(live),
            "update_connection": lambda: tableau.embed(orders, connection, "SVC", "new-secret"),
            "get_datasource": lambda: data.query_one_row(live),
            "read_metadata": lambda: data.query_one_row(live),
            "query_datasource": lambda: data.query_one_row(live),
            "list_views": lambda: data.view_data(overview),
            "view_data": lambda: data.view_data(overview),
            "refresh": lambda: data.refresh(orders),
            "get_job": lambda: data.job(queue(self._orders).id),
            "list_jobs": lambda: data.unfinished_refreshes(orders),
            "cancel_job": lambda: data.cancel(queue(self._orders).id),
            "sign_out": self._hook.sign_out,
        }.get(operation, lambda: found)()
