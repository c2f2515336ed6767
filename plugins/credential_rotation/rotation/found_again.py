"""What earlier runs updated on a site, held against what this run found there.

A list that is suddenly short, an attribute that Tableau leaves out, a wrong account: each makes targets vanish, and a
run that updates all that is left would look well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from credential_rotation.rotation.ledger import Ledger
from credential_rotation.rotation.outcomes import Exclusion
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.tableau.content import ContentType

NOT_LISTED = "not listed any more"
# So many may have been deleted, or changed by their owners, from one run to the next.
_FEW, _SMALL_PART = 3, 0.1
# A connection to Snowflake does not lose these by what people do to it.
_ATTRIBUTE_MISSING = (Exclusion.NO_USERNAME, Exclusion.NO_SERVER_ADDRESS, Exclusion.NOT_SNOWFLAKE)


@dataclass(frozen=True)
class NotFoundAgain:
    """The connections that earlier runs updated, and that this run does not find as targets.

    :param why: by their place in the ledger
    :param known: how many earlier runs updated
    :param some_left: whether there are targets at all, this run's or others
    """

    why: Mapping[str, str]
    known: int
    some_left: bool

    @property
    def is_alarming(self) -> bool:
        """Whether these are more than people delete or change between two runs, or vanished in another way."""
        if any(why in _ATTRIBUTE_MISSING for why in self.why.values()):
            return True
        return bool(self.why) and (not self.some_left or len(self.why) > max(_FEW, self.known * _SMALL_PART))

    def __str__(self) -> str:
        counts = ", ".join(f"{number} {why}" for why, number in Counter(self.why.values()).most_common())
        return (
            f"{len(self.why)} of the {self.known} connections that earlier runs updated are not targets now: {counts}."
        )


WHAT_TO_CHECK = (
    "If that is right, run once with force. If not, check what the Tableau user may see, and account, login and "
    "server_addresses of the Snowflake connections."
)


def not_found_again(
    ledger: Ledger,
    records: Sequence[ConnectionRecord],
    snowflake_conn_ids: Collection[str],
    looked_at: Collection[ContentType],
) -> NotFoundAgain:
    """Hold the ledger of a site against what was found there.

    :param records: of this site
    :param snowflake_conn_ids: the credentials that the run is about
    :param looked_at: the content types of which every item was listed
    """
    by_place = {record.place: record for record in records}
    items = {record.content_id for record in records}
    found: dict[str, str] = {}
    known = 0
    for place, entry in ledger.entries():
        if entry.content_type not in looked_at or entry.snowflake_conn_id not in snowflake_conn_ids:
            continue
        known += 1
        record = by_place.get(place)
        if place.partition("/")[0] not in items:
            found[place] = NOT_LISTED
        elif record is not None and not record.is_target and record.reason != Exclusion.FILTERED_OUT:
            found[place] = str(record.reason)
    some_left = any(record.is_target or record.reason == Exclusion.FILTERED_OUT for record in records)
    return NotFoundAgain(found, known, some_left)
