"""incremental_merge, snapshot_diff, xmin and cdc: what becomes of each key, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dpone_certify.postconditions.exchange import landed, refuse_loss
from dpone_certify.postconditions.options import Key, Options, Refused, Row
from dpone_certify.postconditions.reading import changed, inside, keys, one_per_key, scanned, since
from dpone_certify.postconditions.rows import alike, by_key, holds_null, is_nan, key_of


def incremental_merge(old: Sequence[Row], source: Sequence[Row], target: Sequence[Row], options: Options) -> list[Row]:
    """Every key of the window has the row of the source; a log also says which keys are gone."""
    if options.names_deletes:
        return _by_log(old, source, target, options)
    return _each_key(one_per_key(since(source, options), options), target, options, _stays)


def snapshot_diff(_old: Sequence[Row], source: Sequence[Row], target: Sequence[Row], options: Options) -> list[Row]:
    """Inside the filter the keys of the target are those of the source, with its rows."""
    rows = one_per_key(scanned(source, options), options)
    return _with_absent(rows, keys(rows, options), target, options)


def xmin(old: Sequence[Row], source: Sequence[Row], target: Sequence[Row], options: Options) -> list[Row]:
    """Every key that was written has the row of the source; with the keys read too, those that are gone go."""
    rows = one_per_key(changed(old, source, options), options)
    if not options.reconcile:
        return _each_key(rows, target, options, _stays)
    there = scanned(source, options)
    if any(None in (row.get(c) for c in options.key) for row in there):
        raise Refused("stage.null_key")
    return _with_absent(rows, keys(there, options), target, options)


def cdc(old: Sequence[Row], source: Sequence[Row], target: Sequence[Row], options: Options) -> list[Row]:
    """At first the target becomes the source; from then on every change is carried over, deletions too."""
    if options.first:
        return snapshot_diff(old, source, target, options)
    return _by_log(old, source, target, options)


def _by_log(old: Sequence[Row], source: Sequence[Row], target: Sequence[Row], options: Options) -> list[Row]:
    if options.truncated and not options.may_truncate:
        raise Refused("stage.truncated")
    rows = one_per_key(changed([] if options.truncated else old, source, options), options)
    there = keys(source, options)
    deleted = (options.touched if options.truncated else options.touched | keys(old, options)) - there
    if any(holds_null(key) for key in deleted):
        raise Refused("stage.null_key")

    def gone(row: Row) -> bool:
        key = key_of(row, options.key)
        return key in deleted or (options.truncated and key not in there)

    return _each_key(rows, target, options, gone)


def _with_absent(rows: Sequence[Row], there: set[Key], target: Sequence[Row], options: Options) -> list[Row]:
    def gone(row: Row) -> bool:
        return inside(row, options.where) and key_of(row, options.key) not in there

    if options.deletes != "ignore":
        visible = [row for row in target if inside(row, options.where) and not _is_flagged(row, options)]
        refuse_loss(len(visible), len(there), sum(map(gone, visible)), options)
    return _each_key(rows, target, options, gone)


def _each_key(rows: Sequence[Row], target: Sequence[Row], options: Options, gone: Callable[[Row], bool]) -> list[Row]:
    """The rows of every key of both sides, each decided by itself."""
    incoming = {key_of(row, options.key): row for row in rows}
    stored = by_key(target, options.key)
    result: list[Row] = []
    for key in [*stored, *(k for k in incoming if k not in stored)]:
        new = incoming.get(key)
        if new is None:
            result += [left for row in stored[key] for left in _left(row, options, is_gone=gone(row))]
        elif key in stored:
            result += [_overwritten(row, new, options.unsent.get(key, frozenset()), options) for row in stored[key]]
        elif options.unsent.get(key):
            raise Refused("stage.partial_without_base")
        else:
            result.append(landed(new, options))
    return result


def _stays(_row: Row) -> bool:
    """Nothing tells that a key is gone whose row did not come."""
    return False


def _left(row: Row, options: Options, *, is_gone: bool) -> list[Row]:
    """What is left of a stored row whose key did not come."""
    if not is_gone or options.deletes == "ignore":
        return [row]
    if options.deletes == "hard":
        return []
    assert options.flag is not None
    return [row if _is_flagged(row, options) else {**row, options.flag: options.at}]


def _overwritten(stored: Row, new: Row, unsent: frozenset[str], options: Options) -> Row:
    """The stored row with the new values, or as it was when they are older or the same."""
    sent = [c for c in options.columns if c not in unsent]
    if options.newer in sent and _is_older(new.get(options.newer), stored.get(options.newer)):
        return stored
    if alike(stored, new, sent) and not _is_flagged(stored, options):
        return stored
    cleared = {options.flag: None} if options.deletes == "flag" and options.flag else {}
    return {**stored, **{c: new.get(c) for c in sent}, **options.stamps, **cleared}


def _is_older(new: object, stored: object) -> bool:
    if stored is None or is_nan(stored):
        return stored is not None and new is None
    return new is None or is_nan(new) or bool(new < stored)  # type: ignore[operator]  # one ordered column


def _is_flagged(row: Row, options: Options) -> bool:
    return options.deletes == "flag" and options.flag is not None and row.get(options.flag) is not None
