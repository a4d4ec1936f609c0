"""CREATE, ALTER and DROP of tables, indexes, schemas and databases, as this package and its tests write them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from dpone_mssql.emulator.batches import Plain, Token
from dpone_mssql.emulator.collations import BYTES, DEFAULT
from dpone_mssql.emulator.faults import Refused
from dpone_mssql.emulator.names import quoted
from dpone_mssql.emulator.typenames import type_name

Short = Callable[[str], str]
Expression = Callable[[str], str]


class Cursor(Struct):
    """Tokens, read from the front."""

    tokens: Sequence[Token]
    at: int = 0

    def word(self, ahead: int = 0) -> str:
        return self.tokens[self.at + ahead].word if self.at + ahead < len(self.tokens) else ""

    def take(self) -> Token:
        token = self.tokens[self.at]
        self.at += 1
        return token

    def accept(self, *words: str) -> bool:
        if all(self.word(n) == word for n, word in enumerate(words)):
            self.at += len(words)
            return True
        return False

    def sees(self, sign: str) -> bool:
        return self.at < len(self.tokens) and self.tokens[self.at].text == sign

    def accept_sign(self, sign: str) -> bool:
        if self.sees(sign):
            self.at += 1
            return True
        return False

    def parts(self) -> list[str]:
        """A name of several parts."""
        found = [self.take().name]
        while self.accept_sign("."):
            found.append(self.take().name if self.tokens[self.at].text != "." else "dbo")
        return found

    def enclosed(self) -> list[Token]:
        """What stands between parentheses."""
        if not self.accept_sign("("):
            raise Refused("the emulator misses a parenthesis")
        start, depth = self.at, 1
        while depth:
            depth += {"(": 1, ")": -1}.get(self.tokens[self.at].text, 0)
            self.at += 1
        return list(self.tokens[start : self.at - 1])

    @property
    def is_through(self) -> bool:
        return self.at >= len(self.tokens)


def define(statement: Plain, short: Short, expression: Expression) -> list[str]:
    """The statements for a definition; `expression` translates a value."""
    cursor = Cursor(statement.tokens)
    maker = _Maker(cursor, short, expression)
    match cursor.take().word, cursor.word():
        case "CREATE", "TABLE":
            return maker.create_table()
        case "CREATE", "SCHEMA":
            cursor.take()
            return [f"CREATE SCHEMA {quoted(short(cursor.take().name))}"]
        case "CREATE", "UNIQUE" | "INDEX" | "CLUSTERED" | "NONCLUSTERED":
            return maker.create_index()
        case "CREATE", "VIEW":
            return maker.create_view(statement.text)
        case "ALTER", "TABLE":
            return maker.alter_table()
        case "DROP", "TABLE" | "SCHEMA" | "VIEW" | "SEQUENCE" as kind:
            return maker.drop(kind)
        case "TRUNCATE", "TABLE":
            cursor.take()
            return [f"TRUNCATE {maker.table()}"]
        case first, second:
            message = f"the emulator does not carry out {first} {second}"
            raise Refused(message)


class _Maker:
    def __init__(self, cursor: Cursor, short: Short, expression: Expression) -> None:
        self._cursor = cursor
        self._short = short
        self._expression = expression
        self._after: list[str] = []

    def table(self) -> str:
        parts = [self._short(part) for part in self._cursor.parts()]
        if parts[-1].startswith("#"):
            return quoted(parts[-1])
        return ".".join(map(quoted, ("dbo", *parts)[-2:]))

    def create_table(self) -> list[str]:
        self._cursor.take()
        name = self.table()
        temporary = "TEMPORARY " if name.startswith('"#') else ""
        items = [item for part in _split(self._cursor.enclosed()) if (item := self._item(part, name))]
        return [f"CREATE {temporary}TABLE {name} ({', '.join(items)})", *self._after]

    def _item(self, tokens: list[Token], table: str) -> str:
        inner = _Maker(Cursor(tokens), self._short, self._expression)
        found = (
            inner.constraint() if tokens[0].word in {"PRIMARY", "UNIQUE", "CONSTRAINT", "FOREIGN", "CHECK"} else None
        )
        if found is None:
            found = inner.column(table)
        self._after += inner._after
        return found

    def constraint(self) -> str:
        cursor = self._cursor
        named = f"CONSTRAINT {quoted(self._short(cursor.take().name))} " if cursor.accept("CONSTRAINT") else ""
        if cursor.accept("FOREIGN", "KEY"):
            own = self._names(cursor.enclosed())
            cursor.take()
            other = self.table()
            return f"{named}FOREIGN KEY ({own}) REFERENCES {other} ({self._names(cursor.enclosed())})"
        if cursor.accept("CHECK"):
            return f"{named}CHECK ({self._expression(_text(cursor.enclosed()))})"
        kind = "PRIMARY KEY" if cursor.accept("PRIMARY", "KEY") else "UNIQUE"
        if kind == "UNIQUE":
            cursor.accept("UNIQUE")
        _ = cursor.accept("CLUSTERED") or cursor.accept("NONCLUSTERED")
        return f"{named}{kind} ({self._names(cursor.enclosed())})"

    def _names(self, tokens: list[Token]) -> str:
        return ", ".join(quoted(self._short(part[0].name)) for part in _split(tokens))

    def column(self, table: str) -> str:
        cursor = self._cursor
        bare = cursor.take().name
        name = quoted(self._short(bare))
        if cursor.accept("AS"):
            return self._computed(name, table)
        if cursor.word() == "ROWVERSION" or (cursor.word() == "TIMESTAMP"):
            cursor.take()
            self._after.append(
                f"CREATE TRIGGER {quoted('~rowversion')} BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW "
                f"EXECUTE FUNCTION tsql.stamp({_literal(self._short(bare))})"
            )
            return f"{name} tsql.rowversion NOT NULL"
        written = cursor.take().name
        if cursor.tokens[cursor.at : cursor.at + 1] and cursor.tokens[cursor.at].text == "(":
            written += f"({_text(cursor.enclosed())})"
        return f"{name} {self._rest(table, bare, written)}"

    def _rest(self, table: str, bare: str, written: str) -> str:
        """The type with what stands behind it."""
        cursor, collation, more, nullable = self._cursor, DEFAULT, [], " NULL"
        while not cursor.is_through:
            if cursor.accept("COLLATE"):
                collation = cursor.take().name
            elif cursor.accept("NOT", "NULL"):
                nullable = " NOT NULL"
            elif cursor.accept("NULL"):
                nullable = " NULL"
            elif cursor.accept("IDENTITY"):
                start, step = "1", "1"
                if cursor.sees("("):
                    start, step = (_text(part) for part in _split(cursor.enclosed()))
                more.append(f"GENERATED BY DEFAULT AS IDENTITY (START WITH {start} INCREMENT BY {step})")
                nullable = " NOT NULL"
            elif cursor.accept("CONSTRAINT"):
                cursor.take()
            elif cursor.accept("DEFAULT"):
                more.append(f"DEFAULT {self._default()}")
            elif cursor.accept("PRIMARY", "KEY"):
                _ = cursor.accept("CLUSTERED") or cursor.accept("NONCLUSTERED")
                more.append("PRIMARY KEY")
                nullable = " NOT NULL"
            elif cursor.accept("UNIQUE"):
                more.append("UNIQUE")
            elif cursor.accept("SPARSE"):
                pass
            else:
                message = f"the emulator knows no {cursor.take().text} of a column"
                raise Refused(message)
        of = type_name(written, collation)
        if collation not in BYTES and collation.lower() not in {name.lower() for name in BYTES}:
            raise Refused(f"the emulator knows no collation {collation}")
        del table, bare
        return f"{of}{nullable}{''.join(' ' + part for part in more)}"

    def _default(self) -> str:
        cursor = self._cursor
        if cursor.tokens[cursor.at].text == "(":
            return f"({self._expression(_text(cursor.enclosed()))})"
        word = cursor.take().text
        if cursor.sees("("):
            word += f"({_text(cursor.enclosed())})"
        return f"({self._expression(word)})"

    def _computed(self, name: str, table: str) -> str:
        """Added when the table is there, since only then its type can be found."""
        cursor = self._cursor
        value = self._expression(_text(cursor.enclosed()))
        cursor.accept("PERSISTED")
        self._after.append(f"SELECT tsql.add_computed({_literal(table)}, {_literal(name)}, {_literal(value)})")
        return ""

    # ------------------------------------------------------------------ other statements

    def create_index(self) -> list[str]:
        cursor = self._cursor
        unique = "UNIQUE " if cursor.accept("UNIQUE") else ""
        _ = cursor.accept("CLUSTERED") or cursor.accept("NONCLUSTERED")
        cursor.accept("INDEX")
        name = quoted(self._short(cursor.take().name))
        cursor.accept("ON")
        table = self.table()
        columns = ", ".join(
            quoted(self._short(part[0].name)) + (" DESC" if part[-1].word == "DESC" else "")
            for part in _split(cursor.enclosed())
        )
        included = f" INCLUDE ({self._names(cursor.enclosed())})" if cursor.accept("INCLUDE") else ""
        nulls = " NULLS NOT DISTINCT" if unique else ""
        return [f"CREATE {unique}INDEX {name} ON {table} ({columns}){included}{nulls}"]

    def create_view(self, text: str) -> list[str]:
        self._cursor.take()
        name = self.table()
        query = text[text.upper().index(" AS ") + 4 :]
        return [f"CREATE VIEW {name} AS {self._expression(query)}"]

    def drop(self, kind: str) -> list[str]:
        cursor = self._cursor
        cursor.take()
        present = "IF EXISTS " if cursor.accept("IF", "EXISTS") else ""
        if kind == "SCHEMA":
            return [f"DROP SCHEMA {present}{quoted(self._short(cursor.take().name))}"]
        names = [self.table()]
        while cursor.accept_sign(","):
            names.append(self.table())
        return [f"DROP {kind} {present}{', '.join(names)}"]

    def alter_table(self) -> list[str]:
        cursor = self._cursor
        cursor.take()
        table = self.table()
        if cursor.accept("ADD"):
            parts = _split(list(cursor.tokens[cursor.at :]))
            return [*filter(None, [self._added(part, table) for part in parts]), *self._after]
        if cursor.accept("DROP", "COLUMN"):
            cursor.accept("IF", "EXISTS")
            parts = _split(list(cursor.tokens[cursor.at :]))
            return [f"ALTER TABLE {table} DROP COLUMN {quoted(self._short(part[0].name))} RESTRICT" for part in parts]
        if cursor.accept("DROP"):
            cursor.accept("CONSTRAINT")
            return [f"ALTER TABLE {table} DROP CONSTRAINT {quoted(self._short(cursor.take().name))}"]
        if cursor.accept("ALTER", "COLUMN"):
            return self._altered(table)
        if cursor.accept("REBUILD"):
            return []
        if cursor.accept("SWITCH", "TO"):
            return [
                f"SELECT tsql.switch(CAST({_literal(table)} AS regclass), CAST({_literal(self.table())} AS regclass))"
            ]
        if cursor.word() in {"ENABLE", "DISABLE"} and cursor.word(1) == "CHANGE_TRACKING":
            name = "enable_tracking" if cursor.word() == "ENABLE" else "disable_tracking"
            return [f"SELECT tsql.{name}(CAST(CAST({_literal(table)} AS regclass) AS oid))"]
        message = f"the emulator does not carry out ALTER TABLE ... {cursor.word()}"
        raise Refused(message)

    def _added(self, tokens: list[Token], table: str) -> str:
        if tokens[0].word in {"PRIMARY", "UNIQUE", "CONSTRAINT", "FOREIGN", "CHECK"}:
            return f"ALTER TABLE {table} ADD {self._item(tokens, table)}"
        item = self._item(tokens, table)
        return f"ALTER TABLE {table} ADD COLUMN {item}" if item else ""

    def _altered(self, table: str) -> list[str]:
        cursor = self._cursor
        column = quoted(self._short(cursor.take().name))
        written = cursor.take().name
        if cursor.sees("("):
            written += f"({_text(cursor.enclosed())})"
        rest = self._rest(table, "", written)
        required = rest.endswith(" NOT NULL")
        of = rest.removesuffix(" NOT NULL").removesuffix(" NULL")
        text = of.startswith("tsql.") and ("char" in of or "text" in of)
        value = f"CAST(CAST({column} AS tsql.nvarchar) AS {of})" if text else f"CAST({column} AS {of})"
        return [
            f"ALTER TABLE {table} ALTER COLUMN {column} TYPE {of} USING {value}",
            f"ALTER TABLE {table} ALTER COLUMN {column} {'SET' if required else 'DROP'} NOT NULL",
        ]


def _split(tokens: Sequence[Token]) -> list[list[Token]]:
    """At the commas that no parenthesis encloses."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if token.text == "," and depth == 0:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _text(tokens: Sequence[Token]) -> str:
    return " ".join(token.text for token in tokens)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
