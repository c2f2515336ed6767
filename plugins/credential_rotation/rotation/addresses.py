"""Addresses of a Snowflake account, brought to one form so that they can be compared.

https://docs.snowflake.com/en/user-guide/organizations-connect
"""

from __future__ import annotations

import re

DOMAIN = ".snowflakecomputing.com"
_DOMAINS = (DOMAIN, ".snowflakecomputing.cn")
_PRIVATELINK = ".privatelink"


# Nothing else around a host name: whoever can publish could otherwise have the token embedded in a connection to a
# host of theirs, such as acme.snowflakecomputing.com:x@evil.example.
_ADDRESS = re.compile(r"(?:https?://)?([a-z0-9][a-z0-9._-]*?)\.?(?::[0-9]{1,5})?/?")


def normalized(address: str) -> str:
    """An address without scheme, port, case and trailing dot; an underscore counts as the hyphen that it may be.

    Account names can hold underscores but no hyphens, host names the other way round: Snowflake answers to both.
    What is more than an address is none: ``""``, which is never one of an account.
    """
    found = _ADDRESS.fullmatch(address.strip().lower())
    return found.group(1).replace("_", "-") if found else ""


def is_snowflake(address: str) -> bool:
    """Whether an address is one of a Snowflake account."""
    return normalized(address).endswith(_DOMAINS)


def of_account(account: str, region: str = "") -> frozenset[str]:
    """The addresses of an account identifier (``org-account``, a locator, or either with a region), normalized.

    With each its privatelink form, and for one that is a privatelink address the public form as well.
    """
    host = normalized(account)
    domain = next((known for known in _DOMAINS if host.endswith(known)), "")
    name = host.removesuffix(domain) if domain else host
    name = name.removesuffix(_PRIVATELINK)
    names = {name} | ({f"{name}.{region.strip().lower()}"} if region and "." not in name else set())
    suffix = domain or DOMAIN
    return frozenset(form for each in names for form in (each + suffix, each + _PRIVATELINK + suffix))
