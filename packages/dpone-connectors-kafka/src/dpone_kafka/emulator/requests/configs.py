"""The configuration of topics, described and altered."""

from __future__ import annotations

from dpone_kafka.emulator.broker import Api, Broker, Request
from dpone_kafka.emulator.codes import Code
from dpone_kafka.emulator.rules import refused_settings

_TOPIC = 2
_OWN, _DEFAULT = 1, 5  # where a value comes from
_STRING = 2
_SET, _DELETE = 0, 1


def describe(broker: Broker, request: Request) -> None:
    r, w, v = request.body, request.answer, request.version
    asked = r.array(lambda: (r.int8(), r.text(), r.array_or_none(r.text)))

    def one(kind: int, name: str, keys: list[str] | None) -> None:
        known = kind != _TOPIC or name in broker.store.topics
        own = broker.store.own_config(name) if kind == _TOPIC else {}
        config = broker.store.config(name) if kind == _TOPIC and known else {}
        if kind != _TOPIC:
            config = {"auto.create.topics.enable": str(broker.store.creates_topics).lower()}
        w.int16(Code.OK if known else Code.UNKNOWN_TOPIC_OR_PARTITION).text(None).int8(kind).text(name)

        def entry(key: str) -> None:
            w.text(key).text(config[key]).flag(False)
            if v == 0:
                w.flag(key not in own)
            else:
                w.int8(_OWN if key in own else _DEFAULT)
            w.flag(False)
            if v >= 1:
                w.empty()
            if v >= 3:  # noqa: PLR2004 - a version
                w.int8(_STRING).text(None)

        w.array([key for key in sorted(config) if keys is None or key in keys], entry)

    w.int32(0).array(asked, lambda item: one(*item))


def _alter(broker: Broker, request: Request, *, whole: bool) -> None:
    r, w = request.body, request.answer

    def change() -> tuple[str, int, str | None]:
        return r.text(), _SET if whole else r.int8(), r.text_or_none()

    asked = r.array(lambda: (r.int8(), r.text(), r.array(change)))
    only_asks = r.flag()

    def one(kind: int, name: str, changes: list[tuple[str, int, str | None]]) -> None:
        known = kind == _TOPIC and name in broker.store.topics
        code = Code.OK if known else Code.UNKNOWN_TOPIC_OR_PARTITION
        if known and refused_settings({key: value for key, how, value in changes if how == _SET}):
            code = Code.INVALID_CONFIG
        if code is Code.OK and not only_asks:
            config = {} if whole else broker.store.own_config(name)
            for key, how, value in changes:
                if how == _DELETE or value is None:
                    config.pop(key, None)
                else:
                    config[key] = value
            broker.store.configure(name, config)
        w.int16(code).text(None).int8(kind).text(name)

    w.int32(0).array(asked, lambda item: one(*item))


def alter(broker: Broker, request: Request) -> None:
    _alter(broker, request, whole=True)


def alter_incrementally(broker: Broker, request: Request) -> None:
    _alter(broker, request, whole=False)


CONFIGS = (Api(32, 0, 3, describe), Api(33, 0, 1, alter), Api(44, 0, 0, alter_incrementally))
