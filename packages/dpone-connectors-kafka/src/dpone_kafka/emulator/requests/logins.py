"""Logins: which mechanism, and what client and broker say to each other in it."""

from __future__ import annotations

from dpone_kafka.emulator.broker import Api, Broker, Request
from dpone_kafka.emulator.codes import Code
from dpone_kafka.emulator.doors import Session
from dpone_kafka.emulator.logins import CONVERSATIONS, RefusedError


def handshake(_: Broker, request: Request) -> None:
    asked, session = request.body.text(), request.session
    code = Code.OK
    if not session.door.users:
        code = Code.ILLEGAL_SASL_STATE  # nobody asked
    elif (begin := CONVERSATIONS.get(asked)) is None:
        code = Code.UNSUPPORTED_SASL_MECHANISM
    else:
        session.conversation = begin(session.door.users)
    session.is_refused = code is not Code.OK
    request.answer.int16(code).array(list(CONVERSATIONS), request.answer.text)


def authenticate(_: Broker, request: Request) -> None:
    session, w = request.session, request.answer
    code, text, answer = Code.OK, None, b""
    try:
        answer = _answer(session, request.body.data())
    except (RefusedError, UnicodeDecodeError):
        code, text, session.is_refused = Code.SASL_AUTHENTICATION_FAILED, "the login is refused", True
    w.int16(code).text(text).data(answer)
    if request.version >= 1:
        w.int64(0)  # the session has no end


def _answer(session: Session, said: bytes) -> bytes:
    if session.conversation is None:
        raise RefusedError
    answer = session.conversation.answer(said)
    session.is_known = session.conversation.is_over
    return answer


LOGINS = (Api(17, 1, 1, handshake), Api(36, 0, 1, authenticate))
