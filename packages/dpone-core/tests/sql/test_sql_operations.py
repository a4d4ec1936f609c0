"""The text of each operation, as a person would review it, and that engines' grammars read it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlglot

from dpone.ops import (
    Absent,
    Append,
    DeleteAbsent,
    DeleteKeys,
    Flag,
    Grain,
    Guard,
    Hard,
    Ignore,
    Op,
    Recreate,
    ReplaceAll,
    ReplaceSlice,
    Upsert,
    Version,
    domain,
)
from dpone.oracle import Counts
from dpone.probes import Beyond, Duplicates, Greatest, Least, Nulls, Outside, Probe, Rows, Total
from dpone.schema import DATE, INT64, STRING, Field
from dpone.sql.dialect import Dialect
from dpone.sql.load import Ledger, SqlLoad
from dpone.sql.operations import render
from dpone.sql.probe import render_probe
from dpone.sql.questions import checks, domain_query, guard_of, guard_query
from dpone.sql.seal import RawStage, Survey, dead_query, live_query, present_query, seal_checks, survey_query
from dpone.sql.statement import Counted, Statement
from dpone.stage import Duplicates as OnDuplicates
from dpone.stage import Sealing
from dpone.where import Compare, Condition

ANSI = Dialect()
AT = datetime(2024, 1, 1, tzinfo=UTC)
NOON = "TIMESTAMP WITH TIME ZONE '2024-01-01 00:00:00.000000+00:00'"
COLUMNS = (Field("id", INT64), Field("day", DATE), Field("v", STRING))
LOAD = SqlLoad("T", "L", COLUMNS, key=("id",), dead="D", present="P", stamps={"load": "x"}, ledger=Ledger("G"))
PARTIAL = SqlLoad("T", "L", COLUMNS, key=("id",), dead="D", cleared=True, partial=True)
WHERE = (Condition("v", Compare.EQ, "a"), Condition("id", Compare.IN, (1, 2)))

FILL = """INSERT INTO T ("id", "day", "v", "load") SELECT s."id", s."day", s."v", 'x' FROM L AS s"""
TEXTS: dict[str, tuple[Op, str]] = {
    "recreate": (Recreate(), f"DELETE FROM T AS t WHERE 1 = 1; {FILL}"),
    "replace_all": (
        ReplaceAll(WHERE),
        f"""DELETE FROM T AS t WHERE t."v" = 'a' AND t."id" IN (1, 2); {FILL}""",
    ),
    "append": (
        Append("x", ("id",)),
        f"""{FILL} WHERE NOT EXISTS (SELECT 1 FROM T AS t WHERE t."id" = s."id")
            AND NOT EXISTS (SELECT 1 FROM G AS l WHERE l."load_id" = 'x')""",
    ),
    "upsert": (
        Upsert(("id",), newer="day", flag="gone"),
        f"""UPDATE T AS t SET "day" = s."day", "v" = s."v", "load" = 'x', "gone" = NULL FROM L AS s
            WHERE t."id" = s."id" AND (t."day" IS NULL OR s."day" >= t."day")
            AND (t."day" IS DISTINCT FROM s."day" OR t."v" IS DISTINCT FROM s."v" OR t."gone" IS NOT NULL);
            {FILL} WHERE NOT EXISTS (SELECT 1 FROM T AS t WHERE t."id" = s."id")""",
    ),
    "delete_keys": (
        DeleteKeys(("id",)),
        """DELETE FROM T AS t WHERE (EXISTS (SELECT 1 FROM D AS d WHERE d."id" = t."id"))""",
    ),
    "ignore_keys": (DeleteKeys(("id",), Ignore()), ""),
    "delete_absent": (
        DeleteAbsent(("id",), Flag("gone", AT), within=WHERE[:1]),
        f"""UPDATE T AS t SET "gone" = {NOON} WHERE t."gone" IS NULL AND t."v" = 'a'
            AND NOT EXISTS (SELECT 1 FROM L AS s WHERE s."id" = t."id")
            AND NOT EXISTS (SELECT 1 FROM P AS p WHERE p."id" = t."id")""",
    ),
    "replace_slice": (
        ReplaceSlice("day", Grain.MONTH),
        f"""DELETE FROM T AS t WHERE DATE_TRUNC('month', t."day")
            IN (SELECT DATE_TRUNC('month', s."day") FROM L AS s); {FILL}""",
    ),
    "replace_range": (
        ReplaceSlice("id", bounds=(1, 5)),
        f"""DELETE FROM T AS t WHERE t."id" >= 1 AND t."id" < 5; {FILL}""",
    ),
    "version": (
        Version(("id",), AT, ("v",)),
        f"""UPDATE T AS t SET "valid_to" = {NOON} WHERE t."valid_to" IS NULL AND NOT EXISTS
            (SELECT 1 FROM L AS s WHERE s."id" = t."id" AND NOT (t."v" IS DISTINCT FROM s."v"));
            INSERT INTO T ("id", "day", "v", "load", "valid_from", "valid_to")
            SELECT s."id", s."day", s."v", 'x', {NOON}, NULL FROM L AS s
            WHERE NOT EXISTS (SELECT 1 FROM T AS t WHERE t."id" = s."id" AND t."valid_to" IS NULL)""",
    ),
}


@pytest.mark.parametrize("name", TEXTS)
def test_the_text_of_an_operation(name: str) -> None:
    op, text = TEXTS[name]
    assert "; ".join(statement.text for statement in render(op, LOAD, ANSI)) == " ".join(text.split())


GUARDS: dict[str, tuple[Op, str]] = {
    "recreate": (
        Recreate(),
        """SELECT g.was, g.will, CASE WHEN g.was > g.will THEN g.was - g.will ELSE 0 END FROM (SELECT
            (SELECT COUNT(*) FROM T AS t WHERE 1 = 1) AS was, (SELECT COUNT(*) FROM L AS s) AS will) AS g""",
    ),
    "delete_absent": (
        DeleteAbsent(("id",), Flag("gone", AT)),
        """SELECT (SELECT COUNT(*) FROM T AS t WHERE 1 = 1 AND t."gone" IS NULL),
            (SELECT COUNT(*) FROM L AS s) + (SELECT COUNT(*) FROM P AS p),
            (SELECT COUNT(*) FROM T AS t WHERE 1 = 1 AND t."gone" IS NULL
            AND NOT EXISTS (SELECT 1 FROM L AS s WHERE s."id" = t."id")
            AND NOT EXISTS (SELECT 1 FROM P AS p WHERE p."id" = t."id"))""",
    ),
    "version": (
        Version(("id",), AT, ("v",)),
        """SELECT (SELECT COUNT(*) FROM T AS t WHERE t."valid_to" IS NULL), (SELECT COUNT(*) FROM L AS s),
            (SELECT COUNT(*) FROM T AS t WHERE t."valid_to" IS NULL
            AND NOT EXISTS (SELECT 1 FROM L AS s WHERE s."id" = t."id"))""",
    ),
}


@pytest.mark.parametrize("name", GUARDS)
def test_the_text_of_what_a_guard_asks(name: str) -> None:
    op, text = GUARDS[name]
    assert guard_query(op, LOAD, ANSI) == " ".join(text.split())


@pytest.mark.parametrize(
    "op",
    [
        Append("x"),
        Upsert(("id",)),
        DeleteKeys(("id",)),
        DeleteAbsent(("id",), Ignore()),
        Version(("id",), AT, ("v",), absent=Absent.KEEP),
    ],
    ids=str,
)
def test_what_removes_nothing_unasked_is_not_guarded(op: Op) -> None:
    assert guard_query(op, LOAD, ANSI) is None
    assert guard_of(op) is None


@pytest.mark.parametrize(
    "op",
    [
        Recreate(Guard(0.1)),
        ReplaceAll(guard=Guard(0.1)),
        ReplaceSlice("day", guard=Guard(0.1)),
        DeleteAbsent(("id",), guard=Guard(0.1)),
        Version(("id",), AT, ("v",), guard=Guard(0.1)),
    ],
    ids=str,
)
def test_what_removes_rows_unasked_is_held_against_its_own_guard(op: Op) -> None:
    assert guard_of(op) == Guard(0.1)
    assert guard_query(op, LOAD, ANSI) is not None


def test_a_partial_row_takes_sent_columns_alone() -> None:
    update, _ = render(Upsert(("id",)), PARTIAL, ANSI)
    kept = "COALESCE(SUBSTRING(s.\"_dpone_kept\", 3, 1), '0') = '1'"
    assert f'"v" = CASE WHEN {kept} THEN t."v" ELSE s."v" END' in update.text
    assert f'(NOT {kept} AND t."v" IS DISTINCT FROM s."v")' in update.text


def test_a_key_of_all_columns_leaves_nothing_to_exchange() -> None:
    load = SqlLoad("T", "L", COLUMNS[:1])
    (insert,) = render(Upsert(("id",)), load, ANSI)
    assert insert.counts is Counted.INSERTED


def test_a_statement_says_what_its_row_count_adds_to() -> None:
    counts = [statement.tally(3) for statement in render(Version(("id",), AT, ("v",)), LOAD, ANSI)]
    assert counts == [Counts(updated=3), Counts(inserted=3)]
    assert Statement("SET x").tally(-1) == Counts()


def test_an_engine_changes_one_operation_by_overriding_it() -> None:
    class Merging(Dialect):
        def upsert(self, op: Upsert, load: SqlLoad) -> tuple[Statement, ...]:
            return (Statement(f"MERGE INTO {load.target} ON {op.key[0]}"),)

    assert render(Upsert(("id",)), LOAD, Merging())[0].text == "MERGE INTO T ON id"
    assert render(DeleteKeys(("id",)), LOAD, Merging()) == render(DeleteKeys(("id",)), LOAD, ANSI)


def test_an_engine_that_overrides_is_given_the_operation() -> None:
    class Recreating(Dialect):
        def recreate(self, op: Recreate, load: SqlLoad) -> tuple[Statement, ...]:
            return (Statement(f"CREATE OR REPLACE TABLE {load.target}, at most {op.guard.max_removed_share} less"),)

    (statement,) = render(Recreate(Guard(0.1)), LOAD, Recreating())
    assert statement.text == "CREATE OR REPLACE TABLE T, at most 0.1 less"


PROBE: Probe = (
    Rows(),
    Rows(WHERE),
    Nulls("v"),
    Duplicates(("id", "day")),
    Outside("v", ("a", None)),
    Beyond("id", 1, 5),
    Least("day"),
    Greatest("day"),
    Total("id"),
)


def _everything() -> list[str]:
    """Every query and statement that is rendered anywhere, over plain and partial stages."""
    texts = [statement.text for op, _ in TEXTS.values() for statement in render(op, LOAD, ANSI)]
    texts += [render(op, PARTIAL, ANSI)[0].text for op in (Upsert(("id",)), DeleteKeys(("id",), Hard()))]
    texts += [render(Version(("id",), AT, ("v",), absent=Absent.KEEP), LOAD, ANSI)[0].text]
    for op, _ in TEXTS.values():
        texts += [query for load in (LOAD, PARTIAL) if (query := guard_query(op, load, ANSI))]
        texts += [check.text for load in (LOAD, PARTIAL) for check in checks(op, load, ANSI)]
        texts.append(domain_query(domain((op,)), LOAD, ANSI))
    changes = Sealing(("id", "day", "v"), ("id",), changes=True)
    last = Sealing(("id", "day", "v"), ("id",), ("day",), duplicates=OnDuplicates.LAST)
    for raw, how, found in (
        (RawStage("R", COLUMNS, tagged=True), changes, Survey(9, cleared=True, partial=True)),
        (RawStage("R", COLUMNS), last, Survey(9)),
        (RawStage("R", COLUMNS), Sealing(("id", "day", "v"), ("id",)), Survey(9)),
    ):
        texts += [survey_query(raw, how, ANSI), live_query(raw, how, found, ANSI)]
        texts += [check.text for check in seal_checks(raw, how, found, ANSI)]
        texts += [q for q in (dead_query(raw, how, found, ANSI), present_query(raw, how, found, ANSI)) if q]
    return [*texts, render_probe(PROBE, "T", COLUMNS, ANSI)]


@pytest.mark.parametrize("grammar", ["postgres", "duckdb", "snowflake"])
def test_other_grammars_read_every_text_as_one_statement(grammar: str) -> None:
    for text in _everything():
        (parsed,) = sqlglot.parse(text, read=grammar, error_level=sqlglot.ErrorLevel.RAISE)
        assert not isinstance(parsed, sqlglot.exp.Command), text
