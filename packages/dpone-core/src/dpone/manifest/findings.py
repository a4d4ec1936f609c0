"""What pydantic found, said in the words of the file: the line, the key, what was expected, found and meant."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from msgspec import Struct
from pydantic import BaseModel, Tag, ValidationError

from dpone.errors import DponeError
from dpone.manifest.document import Loc, Node
from dpone.manifest.problems import INVALID, UNKNOWN_KEY, Problem, did_you_mean, listed, nearest, resembles

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

M = TypeVar("M", bound=BaseModel)
_SHOWN = 60  # characters of a value that a message quotes


class Place(Struct, frozen=True):
    """Where in which file a value stands, and how messages speak of it."""

    file: str
    node: Node
    where: str = ""  # the path of the node itself: `source`
    shows: bool = True  # false where a value is named by its kind alone
    shows_keys: bool = True  # false among secrets
    code: str = INVALID
    known: tuple[str, ...] = ()  # keys beside those of the model
    belongs: Callable[[str], str | None] = lambda _key: None  # where an unknown key would be right

    def path(self, loc: Loc) -> str:
        """The path of a value below this one as a person writes it: `strategy.cursor.lag`, `checks[0]`."""
        text, node = self.where, self.node
        for number, part in enumerate(loc):
            known = part in node.entries if isinstance(part, str) else part < len(node.items)
            if not known and (number < len(loc) - 1 or part in loc[number - 1 : number]):
                continue  # a tag that pydantic adds, not a key
            node = node.at([part])
            joint = "" if isinstance(part, int) or not text else ": " if " " in text else "."
            text += f"[{part}]" if isinstance(part, int) else f"{joint}{part}"
        return text


def check(model: type[M], place: Place) -> tuple[M | None, list[Problem]]:
    """The model that the node describes, or what is wrong with it. Scalars are as strict as the model says."""
    emptied, data = _without_nulls(place)
    try:
        found = model.model_validate(data)
    except ValidationError as error:
        nulls = {p.path for p in emptied}
        return None, [*emptied, *(p for p in findings(error, model, place) if p.path not in nulls)]
    return (None if emptied else found), emptied


def check_strictly(model: type[M], place: Place) -> tuple[M | None, list[Problem]]:
    """The same for a model of a connector: strict, and lists count as tuples."""
    try:
        return model.model_validate_json(json.dumps(place.node.plain(), default=str), strict=True), []
    except ValidationError as error:
        return None, findings(error, model, place)
    except DponeError as error:  # what a connector's own validator calls may raise ours, which pydantic does not know
        subject = f"{place.where}: " if place.where else ""
        message = f"{subject}{error.message}"
        return None, [Problem(place.file, place.node.mark, message, error.code, place.where, error.hint)]


def _without_nulls(place: Place) -> tuple[list[Problem], Any]:
    """The data without keys that have no value, each of which is a problem."""
    problems: list[Problem] = []

    def plain(node: Node, loc: tuple[str | int, ...]) -> Any:
        if isinstance(node.value, tuple):
            return [plain(item, (*loc, number)) for number, item in enumerate(node.value)]
        if not isinstance(node.value, dict):
            return node.value
        kept = {}
        for key, entry in node.value.items():
            path = (*loc, key)
            if entry.node.value is None:
                message = f"`{key}` has no value; give it one or remove the key"
                problems.append(Problem(place.file, entry.key, message, place.code, place.path(path)))
            else:
                kept[key] = plain(entry.node, path)
        return kept

    return problems, plain(place.node, ())


def findings(error: ValidationError, model: type[BaseModel], place: Place) -> list[Problem]:
    """One problem for each cause: not a missing key that was only mistyped, nor a short list whose items are wrong."""
    found = error.errors(include_url=False)
    unknown: dict[tuple[Loc, str | None], None] = {}
    for e in found:
        if e["type"] == "extra_forbidden":
            unknown[e["loc"][:-1], nearest(str(e["loc"][-1]), keys_of(model, e["loc"][:-1]))] = None
    return [
        _problem(e, model, place)
        for e in found
        if not (e["type"] == "missing" and (e["loc"][:-1], e["loc"][-1]) in unknown)
        and not (e["type"] == "too_short" and any(o["loc"][: len(e["loc"])] == e["loc"] != o["loc"] for o in found))
    ]


def _problem(error: ErrorDetails, model: type[BaseModel], place: Place) -> Problem:
    loc, kind = error["loc"], error["type"]
    path = place.path(loc)
    if kind == "extra_forbidden":
        return _unknown_key(str(loc[-1]), loc[:-1], model, place)
    if kind == "missing":
        inside = place.path(loc[:-1])
        message = f'missing key "{loc[-1]}"' + (f" under {inside}" if inside else "")
        return Problem(place.file, place.node.at(loc[:-1]).mark, message, place.code, path)
    if at := error.get("ctx", {}).get("at"):
        loc = (*loc, at)
        path = place.path(loc)
    node = place.node.at(loc)
    sentence, hint = _sentence(error, node, place)
    subject = f"{path}: " if path else ""
    return Problem(place.file, node.mark, f"{subject}{sentence}", place.code, path, hint)


def _unknown_key(key: str, loc: Loc, model: type[BaseModel], place: Place) -> Problem:
    inside = place.path(loc)
    known = [*(place.known if not loc else ()), *keys_of(model, loc)]
    # among secrets, a key that resembles none may be a value that lost its colon
    is_shown = place.shows_keys or resembles(key, known)
    message = "unknown key" + (f' "{key[:_SHOWN]}"' if is_shown else "") + (f" under {inside}" if inside else "")
    belongs, near = place.belongs(key), did_you_mean(key, known)
    hint = None if belongs or near or not known else f"known here: {', '.join(known)}"
    message += f"; {belongs}" if belongs else near
    path = place.path((*loc, key)) if is_shown else inside
    return Problem(place.file, place.node.key_at((*loc, key)), message, UNKNOWN_KEY, path, hint)


def keys_of(model: type[BaseModel], loc: Loc = ()) -> list[str]:
    """The keys that the model at this path knows; empty when the path leads to no model."""
    found: Any = model
    for part in loc:
        found = _step(found, part)
    found = _plain(found)
    if isinstance(found, type) and issubclass(found, BaseModel):
        return [field.alias or name for name, field in found.model_fields.items()]
    return []


def _step(of: Any, part: str | int) -> Any:
    """The type of a part of a value of type `of`."""
    of = _plain(of)
    if get_origin(of) in {Union, UnionType}:
        members = get_args(of)
        tagged = [m for m in members if part in list(_tags(m))]
        return tagged[0] if tagged else next((s for m in members if (s := _step(m, part)) is not None), None)
    if get_origin(of) in {tuple, list} and isinstance(part, int):
        return get_args(of)[0]
    if get_origin(of) is dict:
        return get_args(of)[1]
    if isinstance(of, type) and issubclass(of, BaseModel):
        for name, field in of.model_fields.items():
            if part in {name, field.alias}:
                return field.annotation
    return None


def _plain(of: Any) -> Any:
    """The type without its annotations, and without NULL beside it."""
    if get_origin(of) is Annotated:
        return _plain(get_args(of)[0])
    members = [m for m in get_args(of) if m is not NoneType] if get_origin(of) in {Union, UnionType} else []
    return _plain(members[0]) if len(members) == 1 else of


def _tags(member: Any) -> Iterator[str]:
    """The words by which pydantic names this member of a union."""
    if get_origin(member) is Annotated:
        yield from (m.tag for m in get_args(member)[1:] if isinstance(m, Tag))
        member = _plain(member)
    if isinstance(member, type) and issubclass(member, BaseModel):
        yield member.__name__
        first = next(iter(member.model_fields.values()), None)
        if first is not None and get_origin(first.annotation) is Literal:
            yield from get_args(first.annotation)


_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "string_too_short": "text that is not empty",
    "union_tag_not_found": "a mapping of one key",
}
_WORD = re.compile(r"'([^']*)'")


def _sentence(error: ErrorDetails, node: Node, place: Place) -> tuple[str, str | None]:
    """What was expected and what was found, and what to do about it."""
    kind, context = error["type"], error.get("ctx", {})
    match kind:
        case "refused":
            return context["sentence"], context["hint"] or None
        case "literal_error" | "enum" | "union_tag_invalid":
            words = _WORD.findall(str(context.get("expected") or context.get("expected_tags")))
            shown = node if kind != "union_tag_invalid" else Node(context["tag"])
            near = did_you_mean(str(shown.value), words) if isinstance(shown.value, str) and place.shows else ""
            return f"expected {listed(words)}; found {_found(shown, shows=place.shows)}{near}", None
        case "greater_than_equal" | "less_than_equal" | "greater_than" | "less_than":
            sign = {"ge": "at least", "le": "at most", "gt": "more than", "lt": "less than"}
            bound = next(f"{sign[name]} {value}" for name, value in context.items() if name in sign)
            return f"expected {bound}; found {_found(node, shows=place.shows)}", None
        case "too_short":
            return "expected at least one item", None
        case "string_too_long":
            return f"expected at most {context['max_length']} characters", None
        case "value_error" | "assertion_error":
            return error["msg"].partition(", ")[2] or error["msg"], None
        case _:
            return _plainly(error, node, place)


def _plainly(error: ErrorDetails, node: Node, place: Place) -> tuple[str, str | None]:
    kind = error["type"]
    expected = _EXPECTED.get(kind)
    if expected is None:
        return error["msg"].replace("Input should be", "expected").replace("Value should be", "expected"), None
    found = _found(node, shows=place.shows, counts=kind == "union_tag_not_found")
    return f"expected {expected}; found {found}", _advice(expected, node, shows=place.shows)


def _advice(expected: str, node: Node, *, shows: bool) -> str | None:
    if expected == "text" and isinstance(node.value, int | float):
        return "put it into quotes"
    if expected == "a list" and isinstance(node.value, str):
        return f"write [{node.value[:_SHOWN]}]" if shows else "write [...]"
    if expected == "true or false" and isinstance(node.value, str):
        return "YAML 1.2 has true and false; yes, no, on and off are text"
    return None


def _found(node: Node, *, shows: bool, counts: bool = False) -> str:
    match node.value:
        case dict():
            return f"a mapping of {len(node.value)}" if counts else "a mapping"
        case tuple():
            return "a list"
        case None:
            return "nothing"
        case str() if shows and len(node.value) <= _SHOWN and "://" not in node.value:
            return json.dumps(node.value, ensure_ascii=False)
        case str():
            return "text"
        case bool():
            return "true" if node.value else "false"
        case _:
            return str(node.value)[:_SHOWN] if shows else "a number"
