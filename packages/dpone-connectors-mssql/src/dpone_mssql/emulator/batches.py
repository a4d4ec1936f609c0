"""A batch of T-SQL cut into tokens, statements and blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from msgspec import Struct

from dpone_mssql.emulator.faults import Fault

_TOKEN = re.compile(
    r"""(?P<space>\s+|--[^\n]*|/\*.*?\*/)
      | (?P<text>[Nn]?'(?:[^']|'')*')
      | (?P<name>\[(?:[^\]]|\]\])*\]|"(?:[^"]|"")*")
      | (?P<global>@@\w+)
      | (?P<variable>@[\w#$]+)
      | (?P<word>[^\W\d][\w$#]*|\#{1,2}[\w$#]+)
      | (?P<number>0[xX][0-9a-fA-F]*|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)
      | (?P<sign><>|<=|>=|!=|.)""",
    re.VERBOSE | re.DOTALL,
)
_STARTS = frozenset(
    {"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "WITH", "EXEC", "EXECUTE", "SET", "DECLARE", "DROP", "CREATE"}
    | {"ALTER", "THROW", "BEGIN", "COMMIT", "ROLLBACK", "SAVE", "TRUNCATE", "IF", "PRINT", "RAISERROR", "RETURN"}
)


class Token(Struct, frozen=True):
    kind: str
    text: str

    @property
    def word(self) -> str:
        """In capitals where it is a bare word; empty otherwise."""
        return self.text.upper() if self.kind == "word" else ""

    @property
    def name(self) -> str:
        """What an identifier names."""
        if self.kind != "name":
            return self.text
        close = "]" if self.text[0] == "[" else '"'
        return self.text[1:-1].replace(close * 2, close)

    @property
    def value(self) -> str:
        """What a text says."""
        return self.text[self.text.index("'") + 1 : -1].replace("''", "'")


class Plain(Struct, frozen=True):
    """One statement without control of flow."""

    tokens: tuple[Token, ...]
    text: str


class Branch(Struct, frozen=True):
    condition: str
    then: tuple[Node, ...]
    otherwise: tuple[Node, ...]


Node = Plain | Branch


def tokens_of(text: str) -> list[Token]:
    return [Token(m.lastgroup or "", m[0]) for m in _TOKEN.finditer(text)]


def parse(text: str) -> tuple[Node, ...]:
    """The statements of a batch."""
    parser = _Parser(tokens_of(text))
    return tuple(parser.statements(until=None))


def plain(tokens: Sequence[Token]) -> Plain:
    return Plain(tuple(t for t in tokens if t.kind != "space"), "".join(t.text for t in tokens).strip())


class _Parser:
    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def statements(self, until: str | None) -> Iterator[Node]:
        while True:
            self._skip()
            if self._at >= len(self._tokens):
                if until is not None:
                    raise Fault(102, "Incorrect syntax: a block is not closed.", 15)
                return
            if until is not None and self._word() == until:
                self._at += 1
                return
            yield from self.statement()

    def statement(self) -> Iterator[Node]:
        """One statement, or those of a block."""
        self._skip()
        if self._word() == "IF":
            yield self._branch()
        elif self._word() == "BEGIN" and self._word(1) not in {"TRAN", "TRANSACTION"}:
            self._at += 1
            yield from self.statements("END")
        else:
            yield self._plain()

    def _branch(self) -> Branch:
        self._at += 1
        start, depth = self._at, 0
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            depth += (token.text == "(") - (token.text == ")")
            if depth == 0 and token.word in _STARTS and self._at > start:
                break
            self._at += 1
        condition = "".join(t.text for t in self._tokens[start : self._at]).strip()
        then = tuple(self.statement())
        self._skip()
        otherwise: tuple[Node, ...] = ()
        if self._word() == "ELSE":
            self._at += 1
            otherwise = tuple(self.statement())
        return Branch(condition, then, otherwise)

    def _plain(self) -> Plain:
        """Up to a semicolon, or to the word that ends the block or the branch."""
        start, depth, cases = self._at, 0, 0
        first = self._word()
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            depth += (token.text == "(") - (token.text == ")")
            if depth == 0:
                if token.text == ";":
                    break
                cases += token.word == "CASE"
                if token.word in {"END", "ELSE"} and cases == 0:
                    break
                cases -= token.word == "END"
                if self._at > start and first in {"SET", "DECLARE"} and self._begins_another(first):
                    break
            self._at += 1
        found = self._tokens[start : self._at]
        return plain(found)

    def _begins_another(self, first: str) -> bool:
        """Of statements that drivers put one after another without semicolons: SET NOCOUNT ON SET ROWCOUNT 0."""
        word = self._tokens[self._at].word
        return word in _STARTS - {"SELECT", "WITH", "IF", "BEGIN"} and not (first == "SET" and word == "INSERT")

    def _skip(self) -> None:
        while self._at < len(self._tokens) and (
            self._tokens[self._at].kind == "space" or self._tokens[self._at].text == ";"
        ):
            self._at += 1

    def _word(self, ahead: int = 0) -> str:
        seen = [t for t in self._tokens[self._at : self._at + 8] if t.kind != "space"]
        return seen[ahead].word if ahead < len(seen) else ""
