"""Numbers of idempotent producers, and the steps of a transaction."""

from __future__ import annotations

from dpone_kafka.emulator.broker import Api, Broker, Request
from dpone_kafka.emulator.codes import Code
from dpone_kafka.emulator.transactions import LONGEST, Transaction


def init_producer(broker: Broker, request: Request) -> None:
    r, w = request.body, request.answer
    name, timeout = r.text_or_none(), r.int32()
    if name is not None and timeout > LONGEST:
        w.int32(0).int16(Code.INVALID_TRANSACTION_TIMEOUT).int64(-1).int16(-1)
        return
    producer, epoch = (broker.store.new_producer(), 0) if name is None else broker.transactions.begin(name, timeout)
    w.int32(0).int16(Code.OK).int64(producer).int16(epoch)


def _find(broker: Broker, request: Request) -> tuple[str, Code, Transaction | None]:
    r = request.body
    name = r.text()
    code, transaction = broker.transactions.find(name, r.int64(), r.int16())
    return name, code, transaction


def add_partitions(broker: Broker, request: Request) -> None:
    r, w = request.body, request.answer
    name, code, transaction = _find(broker, request)
    asked = r.array(lambda: (r.text(), r.array(r.int32)))
    if transaction is not None:
        broker.transactions.add(name, transaction, [(topic, i) for topic, indexes in asked for i in indexes])
    w.int32(0).array(asked, lambda item: w.text(item[0]).array(item[1], lambda index: w.int32(index).int16(code)))


def add_offsets(broker: Broker, request: Request) -> None:
    name, code, transaction = _find(broker, request)
    if transaction is not None:
        broker.transactions.add(name, transaction, [])
    request.answer.int32(0).int16(code)


def commit_offsets(broker: Broker, request: Request) -> None:
    r, w = request.body, request.answer
    name, group = r.text(), r.text()
    code, transaction = broker.transactions.find(name, r.int64(), r.int16())

    def wanted() -> tuple[int, int, str]:
        index, offset = r.int32(), r.int64()
        if request.version >= 2:  # noqa: PLR2004 - a version
            r.int32()
        return index, offset, r.text()

    asked = r.array(lambda: (r.text(), r.array(wanted)))
    if transaction is not None:
        offsets = [(group, topic, *position) for topic, positions in asked for position in positions]
        broker.transactions.add_offsets(name, transaction, offsets)
    w.int32(0).array(asked, lambda item: w.text(item[0]).array(item[1], lambda p: w.int32(p[0]).int16(code)))


def end(broker: Broker, request: Request) -> None:
    name, code, transaction = _find(broker, request)
    commit = request.body.flag()
    if transaction is not None:
        code = broker.transactions.end(name, transaction, commit=commit)
    request.answer.int32(0).int16(code)


PRODUCERS = (
    Api(22, 0, 1, init_producer),
    Api(24, 0, 1, add_partitions),
    Api(25, 0, 1, add_offsets),
    Api(26, 0, 1, end),
    Api(28, 0, 2, commit_offsets),
)
