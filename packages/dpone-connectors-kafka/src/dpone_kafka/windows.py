"""How far one reading goes: ranges of offsets, fixed for every partition before the first message is read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dpone.connector import Position, ReadRequest
from dpone.cursors import cursor_unsupported
from dpone.errors import StateError
from dpone.readings import other_system
from dpone.strategies import Read
from dpone_kafka.client import Range
from dpone_kafka.consuming import refuse_none

if TYPE_CHECKING:
    from dpone_kafka.client import Client


def windows_of(client: Client, request: ReadRequest) -> tuple[list[Range], Position | None]:
    """What each partition gives, and the position behind it; a scan has none."""
    (topic,) = request.dataset.name
    options = request.dataset.options
    count = refuse_none(client.partitions(topic), topic)
    there = client.ranges(topic, range(count))
    if request.read is Read.SCAN:
        return [there[index] for index in range(count)], None
    if request.cursor is not None:
        raise cursor_unsupported("kafka")
    cluster = client.cluster()
    stored = _stored(request, topic, cluster)
    begun = _times(client, topic, count, options.get("begin_at")) if stored is None else {}
    ended = _times(client, topic, count, options.get("end_before"))
    found: list[Range] = []
    for index in range(count):
        low, high = there[index].low, there[index].high
        if (limit := ended.get(index, -1)) >= 0:
            high = min(high, limit)
        first = begun.get(index)
        wanted = low if first is None else there[index].high if first < 0 else first
        if stored is not None:
            wanted = stored.get(index, low)  # a partition that is new begins at its beginning
            wanted = _available(topic, index, wanted, there[index], options)
        found.append(Range(index, max(low, wanted), max(high, wanted)))
    found = _limited(found, options.get("max_messages"))
    offsets = {str(r.partition): r.high for r in found}
    return found, Position(Read.SINCE, {"topic": topic, "cluster": cluster, "offsets": offsets})


def _available(topic: str, index: int, wanted: int, there: Range, options: Mapping[str, Any]) -> int:
    """Where reading goes on, by policy where the broker no longer has what comes next."""
    if there.low <= wanted <= there.high:
        return wanted
    if wanted > there.high:  # not what retention does: the topic was made anew, or its end was lost
        raise StateError(
            f"partition {index} of {topic} ends at {there.high}, before the stored offset {wanted}",
            code="source.offsets_lost",
            hint="the topic was made anew: `dpone state reset` begins again, `dpone resync` lands it anew",
        )
    if options.get("on_lost_offsets", "stop") == "earliest":
        return there.low
    raise StateError(
        f"partition {index} of {topic} begins at {there.low}, behind the stored offset {wanted}: "
        f"{there.low - wanted} offsets are gone",
        code="source.offsets_lost",
        hint="what is gone cannot be read: `on_lost_offsets: earliest` goes on with what there is, `dpone resync` "
        "lands the topic anew",
    )


def _stored(request: ReadRequest, topic: str, cluster: str) -> dict[int, int] | None:
    since = request.since
    if since is None:
        return None
    if since.token.get("topic") != topic:
        raise StateError(
            f"the stored position is not one of the topic {topic}",
            code="source.other_position",
            hint="`dpone state reset` begins again, `dpone resync` lands a part anew",
        )
    if since.token["cluster"] != cluster:
        raise other_system("another cluster, whose offsets are others")
    return {int(index): int(offset) for index, offset in since.token["offsets"].items()}


def _times(client: Client, topic: str, count: int, moment: str | None) -> dict[int, int]:
    if moment is None:
        return {}
    at = datetime.fromisoformat(moment)
    return client.offsets_at(topic, range(count), int(at.timestamp() * 1000))


def _limited(found: list[Range], most: int | None) -> list[Range]:
    """At most so many offsets in all, as evenly from the partitions as they have them."""
    if most is None or sum(r.size for r in found) <= most:
        return found
    left = most
    limited: dict[int, Range] = {}
    waiting = sorted(found, key=lambda r: r.size)
    for number, each in enumerate(waiting):
        take = min(each.size, -(-left // (len(waiting) - number)))
        limited[each.partition] = Range(each.partition, each.low, each.low + take)
        left -= take
    return [limited[r.partition] for r in found]
