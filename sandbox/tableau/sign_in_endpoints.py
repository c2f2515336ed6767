"""Signing in by password, Tableau PAT or Connected App, and out again."""

from __future__ import annotations

import jwt

from sandbox.tableau import bodies
from sandbox.tableau.answers import Answer, Element
from sandbox.tableau.call import Call
from sandbox.tableau.errors import TableauError, bad_request, sign_in_refused
from sandbox.tableau.sessions import Session
from sandbox.tableau.site import Site
from sandbox.tableau.state import TableauState

# Login error codes of Connected Apps: user not found (case-sensitive), login failed, app, secret not found.
USER_NOT_FOUND, LOGIN_FAILED, APP_NOT_FOUND, SECRET_NOT_FOUND = 5, 16, 126, 127
KNOWN_SINCE = {"personalAccessTokenName": (3, 6), "jwt": (3, 17)}


def sign_in(call: Call) -> Answer:
    """Start a session."""
    credentials = call.read_body(bodies.SIGN_IN_BODY).child("credentials")
    if credentials is None:
        raise bad_request("Payload is not valid: 'credentials' is missing.")
    site_element = credentials.child("site")
    site = call.state.find_site(site_element.attributes.get("contentUrl", "") if site_element else "")
    if site is None:
        raise sign_in_refused()
    said = credentials.attributes
    newest = tuple(int(part) for part in call.state.rest_api_version.split("."))
    for attribute, since in KNOWN_SINCE.items():
        # the server's age counts, not the version in the path: TSC signs in by Tableau PAT and token at 2.4
        if attribute in said and newest < since:
            raise bad_request(f"Payload is not valid: attribute '{attribute}' is not allowed in element 'credentials'.")
    if "jwt" in said:
        return _answer(_by_jwt(call, site, said["jwt"]))
    if "personalAccessTokenName" in said or "personalAccessTokenSecret" in said:
        return _answer(_by_pat(call.state, site, said))
    return _answer(_by_password(call.state, site, said))


def sign_out(call: Call) -> Answer:
    """End the session, for everyone who shares it."""
    call.state.sessions.end(call.live.token)
    return Answer(204, body=b"")


def switch_site(call: Call) -> Answer:
    """Change to another site of the same server; the old token ends."""
    wanted = call.read_body(bodies.SWITCH_SITE_BODY).child("site")
    site = call.state.find_site(wanted.attributes.get("contentUrl", "") if wanted else "")
    if site is None:
        raise sign_in_refused()
    if site is call.site:
        raise TableauError("403070", "The session is on this site already.")
    session = _session(call.state, site, call.live.user.name, call.live.pat)
    call.state.sessions.end(call.live.token)
    return _answer(session)


def current_session(call: Call) -> Answer:
    """Whose session this is."""
    site, user = call.site, call.live.user
    session = Element(
        "session",
        children=[
            Element("site", {"id": site.id, "name": site.name, "contentUrl": site.content_url}),
            Element("user", {"id": user.id, "name": user.name, "siteRole": user.site_role}),
        ],
    )
    return Answer(elements=[session])


def _by_password(state: TableauState, site: Site, said: dict[str, str]) -> Session:
    name = said.get("name", "")
    if not name or state.passwords.get(name) != said.get("password"):
        raise sign_in_refused()
    return _session(state, site, name, None)


def _by_pat(state: TableauState, site: Site, said: dict[str, str]) -> Session:
    name, secret = said.get("personalAccessTokenName"), said.get("personalAccessTokenSecret")
    for pat in state.pats:
        if (pat.name, pat.secret) == (name, secret):
            return _session(state, site, pat.user, pat.name)
    raise sign_in_refused()


def _by_jwt(call: Call, site: Site, token: str) -> Session:
    try:
        key_id = jwt.get_unverified_header(token).get("kid")
        issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
    except jwt.InvalidTokenError as error:
        raise sign_in_refused(LOGIN_FAILED) from error
    apps = [app for app in call.state.apps if app.client_id == issuer]
    if not apps:
        raise sign_in_refused(APP_NOT_FOUND)
    app = next((each for each in apps if each.secret_id == key_id), None)
    if app is None:
        raise sign_in_refused(SECRET_NOT_FOUND)
    try:
        claims = jwt.decode(
            token,
            app.secret_value,
            algorithms=["HS256"],
            audience="tableau",
            options={"require": ["exp", "iss", "sub", "aud", "jti"], "verify_exp": False, "verify_iat": False},
        )
    except jwt.InvalidTokenError as error:
        raise sign_in_refused(LOGIN_FAILED) from error
    left = float(claims["exp"]) - call.state.clock.now().timestamp()  # the sandbox's clock, which tests move
    if left <= 0 or left > call.state.jwt_max_minutes * 60 + 5 or not isinstance(claims.get("scp"), list):
        raise sign_in_refused(LOGIN_FAILED)
    return _session(call.state, site, claims["sub"], None, login_error=USER_NOT_FOUND)


def _session(state: TableauState, site: Site, user: str, pat: str | None, login_error: int | None = None) -> Session:
    try:
        return state.sessions.start(site, site.user(user), pat)
    except KeyError as error:
        raise sign_in_refused(login_error) from error


def _answer(session: Session) -> Answer:
    credentials = Element(
        "credentials",
        # a string whose unit nobody knows: nothing should rely on it
        {"token": session.token, "estimatedTimeToExpiration": "177:05:38"},
        [
            Element("site", {"id": session.site.id, "contentUrl": session.site.content_url}),
            Element("user", {"id": session.user.id}),
        ],
    )
    return Answer(elements=[credentials])
