"""How ``filter_connections`` comes to its plan: what is a target, what of that is left to do, and where to begin."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from credential_rotation.plan_files import Plan, new_plan_id
from credential_rotation.rotation.batches import split
from credential_rotation.rotation.canary import choose_canaries, is_at
from credential_rotation.rotation.credentials import SnowflakeCredential
from credential_rotation.rotation.found_again import WHAT_TO_CHECK, not_found_again
from credential_rotation.rotation.ledger import Ledger
from credential_rotation.rotation.outcomes import SHOW_A_CONNECTION, Exclusion, Outcome
from credential_rotation.rotation.records import ConnectionRecord
from credential_rotation.rotation.roll_back import narrow_to_roll_back
from credential_rotation.rotation.selection import SelectionError, SiteInventory, select
from credential_rotation.site_files import read_inventory
from credential_rotation.tableau.content import ContentType
from credential_rotation.task_context import ThisTask

log = logging.getLogger(__name__)

_SHOWN_WORDS = 10


def make_plan(
    task: ThisTask, credentials: Sequence[SnowflakeCredential]
) -> tuple[Plan, dict[str, list[ConnectionRecord]]]:
    """The plan of a run, and for each credential with something to update the connections to validate on.

    :raises SelectionError: when inventory and params do not fit together
    :raises OutdatedInventory: when an inventory is of an earlier start of the run
    """
    params = task.params
    generation = task.generation
    sites = [read_inventory(task.folder, each, generation=generation) for each in params.tableau_conn_ids]
    records = select(sites, credentials, params.filters, embed_where_prompting=params.embed_where_prompting)
    notes = [note for site in sites for note in _not_looked_at(site, site.inventory.missing_types)]
    problems = [problem for site in sites for problem in _not_looked_at(site, site.inventory.refused_types)]
    claimed = {record.snowflake_conn_id for record in records if record.is_target}
    notes += [f"No connection is a target of '{each.conn_id}'." for each in credentials if each.conn_id not in claimed]
    notes += _note_of_sign_ins(records)
    if params.roll_back:
        records, note = _what_to_roll_back(task, sites, credentials, records)
        notes.append(note)
    else:
        ledgers = {site.tableau_conn_id: task.ledgers.read(site.site_key) for site in sites}
        for site in sites:
            said, wrong = _found_again(task, site, records, ledgers[site.tableau_conn_id])
            notes += said
            problems += wrong
        records = _with_what_is_current(task, sites, credentials, records, ledgers)
    targets = [record for record in records if record.is_target]
    left = [target for target in targets if target.outcome is None]
    log.info("%d connections, %d of them targets, %d to be updated.", len(records), len(targets), len(left))
    canaries = choose_canaries(left, params.validate_on)
    # Only to refuse batches that are too small while nothing is written yet.
    split(left, params.connections_per_task, parallel=task.settings.parallel_tasks)
    if params.dry_run:
        records = [replace(r, outcome=Outcome.PLANNED) if r.is_target and r.outcome is None else r for r in records]
    if task.named_by_events.problem:
        problems.append(task.named_by_events.problem)
    plan = Plan(
        # The report of this plan must not count the journals of an earlier one, before somebody cleared tasks.
        plan_id=new_plan_id(task.folder),
        content=sum(len(site.inventory.items) for site in sites),
        notes=tuple(notes),
        problems=tuple(problems),
        records=tuple(records),
        sites={site.tableau_conn_id: site.site_key for site in sites},
        not_looked_at=tuple(said for site in sites for said in _not_looked_at(site, site.inventory.unknown_types)),
    )
    return plan, {} if params.dry_run else canaries


def _with_what_is_current(
    task: ThisTask,
    sites: Sequence[SiteInventory],
    credentials: Sequence[SnowflakeCredential],
    records: Sequence[ConnectionRecord],
    ledgers: Mapping[str, Ledger],
) -> list[ConnectionRecord]:
    """The records, those that are known to hold the current token with that outcome.

    :param ledgers: by the id of the Airflow connection of their site
    """
    for site in sites:
        targets = [each for each in records if each.tableau_conn_id == site.tableau_conn_id and each.is_target]
        if ledgers[site.tableau_conn_id].forget_what_changed(targets):
            task.ledgers.write(site.site_key, ledgers[site.tableau_conn_id])
    tokens = {each.conn_id: (task.fingerprints.of(each.token), each.login) for each in credentials}
    current = {
        record.key
        for record in records
        if record.is_target
        and ledgers[record.tableau_conn_id].is_current(record, *tokens[str(record.snowflake_conn_id)])
    }
    # An update changes the time of the whole item, and would hide what happens to the others in it meanwhile: so an
    # item is left alone as a whole or not at all.
    to_do = {record.content_id for record in records if record.is_target and record.key not in current}
    if task.params.force:
        to_do |= {record.content_id for record in records}
    if validate_on := task.params.validate_on:
        to_do |= {record.content_id for record in records if is_at(record, validate_on)}
    decided = [
        ledgers[record.tableau_conn_id].marked(record)
        if record.key in current and record.content_id not in to_do
        else replace(
            record,
            held_current=record.key in current,
            held=ledgers[record.tableau_conn_id].token_in(record.place),
        )
        for record in records
    ]
    to_prove = (
        set() if task.params.dry_run else _to_be_proved(task, decided, _seen_to_connect(ledgers.values(), tokens))
    )
    return [replace(each, outcome=None, held_current=True) if each.key in to_prove else each for each in decided]


def _seen_to_connect(ledgers: Iterable[Ledger], tokens: Mapping[str, tuple[str, str]]) -> set[str]:
    """The credentials whose token is known to connect from some content, whatever this run was narrowed to."""
    entries = [entry for ledger in ledgers for _, entry in ledger.entries() if entry.proof in SHOW_A_CONNECTION]
    shown = {entry.token for entry in entries}
    return {conn_id for conn_id, (token, _) in tokens.items() if token in shown}


def _to_be_proved(task: ThisTask, records: Sequence[ConnectionRecord], shown: set[str]) -> set[str]:
    """What is not to be written again, and yet has not shown what is asked for: that it connects.

    :param shown: the credentials of which one connection was seen to connect
    """
    unchanged = [record for record in records if record.outcome is Outcome.UNCHANGED]
    if task.params.proof == "connects":
        return {record.key for record in unchanged if record.proof not in SHOW_A_CONNECTION}
    if task.params.canary_proof != "connects":
        return set()
    # Where something is written, its canary will show it.
    written = {each.snowflake_conn_id for each in records if each.is_target and each.outcome is None}
    left = [record for record in unchanged if record.snowflake_conn_id not in {*shown, *written}]
    return {candidates[0].key for candidates in choose_canaries(left, None).values()}


def _found_again(
    task: ThisTask,
    site: SiteInventory,
    records: Sequence[ConnectionRecord],
    ledger: Ledger,
) -> tuple[list[str], list[str]]:
    """Notes and problems about what earlier runs updated on a site, and this one does not find as targets."""
    notes, problems = [], []
    asked, inventory, conn_ids = set(task.params.content_types), site.inventory, task.params.snowflake_conn_ids
    unlisted = asked & {*inventory.missing_types, *inventory.refused_types, *inventory.unknown_types}
    of_site = [record for record in records if record.tableau_conn_id == site.tableau_conn_id]
    if number := len(not_found_again(ledger, [], conn_ids, unlisted).why):
        problems.append(
            f"{site.tableau_conn_id}: earlier runs updated {number} connections in content that this run could not "
            f"list: {', '.join(f'{each.words}s' for each in sorted(unlisted))}."
        )
    vanished = not_found_again(ledger, of_site, conn_ids, asked - unlisted)
    if vanished.is_alarming and not task.params.force:
        problems.append(f"{site.tableau_conn_id}: {vanished} {WHAT_TO_CHECK}")
    elif vanished.why:
        notes.append(f"{site.tableau_conn_id}: {vanished}")
        for place in vanished.why if not task.params.dry_run else ():
            ledger.forget(place)
        task.ledgers.write(site.site_key, ledger)
    return notes, problems


def _what_to_roll_back(
    task: ThisTask,
    sites: Sequence[SiteInventory],
    credentials: Sequence[SnowflakeCredential],
    records: Sequence[ConnectionRecord],
) -> tuple[list[ConnectionRecord], str]:
    """The records, those that a run updated as targets; and what to say of that."""
    # These are turned round: what they would put back if this failed is what is embedded now.
    current = [task.fingerprints.of(each.previous) for each in credentials if each.previous]
    # Of all sites together: which run is earlier is not for its id to say.
    known = {key: entry for site in sites for key, entry in task.ledgers.read(site.site_key).as_dict().items()}
    named = task.params.roll_back_run
    run_ids = [named] if named else Ledger.from_dict(known).runs_of(current)
    by_conn_id = {each.conn_id: each for each in credentials}
    other = _other_tokens(task, named, by_conn_id, current) if named else []
    if other:
        raise SelectionError(
            f"roll_back: run '{named}' embedded another token of {', '.join(sorted(other))} than the current one, so "
            "the previous secret is not what was there before that run."
        )
    updated: dict[str, ConnectionRecord] = {}
    counts: Counter[str] = Counter()
    for run_id in run_ids:
        # Where several runs embedded this token, what was there before is what the first of them found.
        new = {key: each for key, each in task.ledgers.updated_by(run_id).items() if key not in updated}
        counts[run_id] = len(new)
        updated |= new
    narrowed = narrow_to_roll_back(records, updated, by_conn_id, run_ids)
    gone = len(set(updated) - {record.key for record in narrowed if record.is_target})
    listed = ", ".join(f"{number} of run '{run_id}'" for run_id, number in counts.items() if number)
    note = f"This run rolls back these connections: {listed}." if listed else ""
    return narrowed, f"{note} {gone} of the connections are not targets any more." if gone else note


def _other_tokens(task: ThisTask, run_id: str, credentials: Iterable[str], current: Collection[str]) -> list[str]:
    """The credentials of which a run embedded another token than the current one."""
    embedded = task.ledgers.embedded_by(run_id)
    return [conn_id for conn_id in credentials if embedded.get(conn_id) not in (None, *current)]


def _not_looked_at(site: SiteInventory, types: Mapping[ContentType, str]) -> list[str]:
    return [f"{site.tableau_conn_id}: no {kind.words}s were looked at: {why}" for kind, why in types.items()]


def _note_of_sign_ins(records: Sequence[ConnectionRecord]) -> list[str]:
    """Name the ways to sign in that are not known: if one of them means user and password, targets were left out."""
    words = Counter(each.authentication_type for each in records if each.reason == Exclusion.OTHER_SIGN_IN)
    if not words:
        return []
    named = ", ".join(f"'{word}' ({number})" for word, number in words.most_common(_SHOWN_WORDS))
    more = f" and {len(words) - _SHOWN_WORDS} more" if len(words) > _SHOWN_WORDS else ""
    return [f"Left alone, because these ways to sign in are not known to mean user and password: {named}{more}."]
