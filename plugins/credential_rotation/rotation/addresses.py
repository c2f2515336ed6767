"""Addresses of a Snowflake account, brought to one form so that they can be compared.

https://docs.snowflake.com/en/user-guide/organizations-connect
"""

from __future__ import annotations

DOMAIN = ".snowflakecomputing.com"
_DOMAINS = (DOMAIN, ".snowflakecomputing.cn")
_PRIVATELINK = ".privatelink"


def normalized(address: str) -> str:
    """An address without scheme, port, path, case and trailing dot; an underscore counts as the hyphen that it may be.

    Account names can hold underscores but no hyphens, host names the other way round: Snowflake answers to both.
    """
    host = address.strip().lower().partition("://")[2] or address.strip().lower()
    host = host.partition("/")[0].partition(":")[0].rstrip(".")
    return host.replace("_", "-")


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
