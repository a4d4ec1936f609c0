"""Frozen slotted dataclasses that cost little to declare: one writes `@dataclass(frozen=True, slots=True)` as ever.

The standard library compiles six methods of each class as soon as it is declared, half a millisecond for classes most
of which a run makes no instance of. Here five are shared, and `__init__` is compiled when the first instance is made.
Every other dataclass is the standard library's, and `fields`, `replace` and `asdict` know no difference.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(cls: type | None = None, /, **options: Any) -> Any:
        """As the standard library's; of a frozen slotted class, `__init__` is compiled when it is first called."""
        if cls is None and options == {"frozen": True, "slots": True}:
            return _declared
        return dataclasses.dataclass(cls, **options)


@dataclasses.dataclass(frozen=True)
class _Frozen:
    """What the library notes of it, it notes of every frozen class with ordinary fields."""

    field: None = None


_PARAMETERS = vars(_Frozen)["__dataclass_params__"]
_ORDINARY = dataclasses.fields(_Frozen)[0]
_OF_THE_CLASS = ("ClassVar", "typing.ClassVar")  # such annotations are text in every module of ours
_SAID = ("default", "default_factory", "repr", "hash", "compare", "metadata")
_set = object.__setattr__


def _declared(cls: Any) -> Any:
    """The class with slots for its fields, frozen, compared and hashed by their values."""
    fields = _fields(cls)
    names = tuple(fields)
    body = {name: value for name, value in vars(cls).items() if name not in {*names, "__dict__", "__weakref__"}}
    offered = {
        "__doc__": cls.__name__,
        "__match_args__": names,
        "__repr__": _representation([f.name for f in fields.values() if f.repr]),
        "__eq__": _equality(_values(f.name for f in fields.values() if f.compare)),
        "__getstate__": lambda self: [getattr(self, name) for name in names],
        "__setstate__": _restoring(names),
    }
    if body.get("__hash__") is None:  # a class with a comparison of its own has one that is None
        offered["__hash__"] = _hash(_values(f.name for f in fields.values() if _is_hashed(f)))
    body |= {name: value for name, value in offered.items() if body.get(name) is None}
    taken = {slot for base in cls.__mro__[1:] for slot in _slots(base)}
    made: list[Any] = []
    body |= {
        "__slots__": tuple(name for name in names if name not in taken),
        "__dataclass_fields__": fields,
        "__dataclass_params__": _PARAMETERS,
        "__setattr__": _refuse_change,
        "__delattr__": _refuse_deletion,
    }
    body.setdefault("__init__", _initialisation(made, fields.values()))
    made.append(type(cls)(cls.__name__, cls.__bases__, body))
    made[0].__qualname__ = cls.__qualname__
    return made[0]


def _fields(cls: Any) -> dict[str, Any]:
    """Those of the bases, then its own, as the standard library describes them."""
    found: dict[str, Any] = {}
    for base in cls.__mro__[:0:-1]:
        if "__dataclass_fields__" in vars(base):
            found |= {f.name: f for f in dataclasses.fields(base)}
    for name, annotation in inspect.get_annotations(cls).items():
        if not str(annotation).startswith(_OF_THE_CLASS):
            found[name] = _field(cls, name, annotation)
    return found


def _field(cls: Any, name: str, annotation: object) -> Any:
    given = vars(cls).get(name, dataclasses.MISSING)
    said = given if isinstance(given, dataclasses.Field) else dataclasses.field(default=given)
    if not said.init or said.kw_only is True:
        raise TypeError(f"{cls.__name__}.{name} is not given by place: the class takes the library's own dataclass")
    if said.default.__class__.__hash__ is None:
        raise ValueError(f"the default of {cls.__name__}.{name} can be changed: use default_factory")
    field: Any = copy(_ORDINARY)
    field.name, field.type = name, annotation
    for attribute in _SAID:
        setattr(field, attribute, getattr(said, attribute))
    return field


def _slots(base: type) -> Iterable[str]:
    slots = vars(base).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else slots


def _is_hashed(field: dataclasses.Field[Any]) -> bool:
    return field.compare if field.hash is None else field.hash


def _values(names: Iterable[str]) -> Callable[[Any], tuple[Any, ...]]:
    """What reads the values of these fields as a tuple."""
    several = tuple(names)
    if len(several) > 1:
        return attrgetter(*several)
    return lambda self: tuple(getattr(self, name) for name in several)


def _equality(values: Callable[[Any], tuple[Any, ...]]) -> Callable[[Any, object], bool]:
    def equal(self: Any, other: object) -> bool:
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    return equal


def _hash(values: Callable[[Any], tuple[Any, ...]]) -> Callable[[Any], int]:
    return lambda self: hash(values(self))


def _representation(names: Sequence[str]) -> Callable[[Any], str]:
    def written(self: Any) -> str:
        return f"{self.__class__.__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    return recursive_repr()(written)


def _restoring(names: Sequence[str]) -> Callable[[Any, Sequence[Any]], None]:
    def restore(self: Any, state: Sequence[Any]) -> None:
        for name, value in zip(names, state, strict=True):
            _set(self, name, value)

    return restore


def _refuse_change(_self: Any, name: str, _value: object) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_deletion(_self: Any, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _initialisation(made: list[Any], fields: Iterable[dataclasses.Field[Any]]) -> Callable[..., None]:
    """What puts the compiled method in its own place, and calls it."""

    def begin(self: Any, /, *args: Any, **given: Any) -> None:
        made[0].__init__ = compiled = _compiled(made[0], fields)
        compiled(self, *args, **given)

    return begin


def _compiled(cls: Any, fields: Iterable[dataclasses.Field[Any]]) -> Callable[..., None]:
    known: dict[str, Any] = {"_set": _set, "_absent": dataclasses.MISSING}
    parameters, lines = ["_self"], []
    for number, field in enumerate(fields):
        name, value = field.name, field.name
        default = ""
        if field.default is not dataclasses.MISSING:
            known[f"_default{number}"], default = field.default, f"=_default{number}"
        elif field.default_factory is not dataclasses.MISSING:
            known[f"_make{number}"], default = field.default_factory, "=_absent"
            value = f"_make{number}() if {name} is _absent else {name}"
        parameters.append(f"{name}{default}")
        lines.append(f"    _set(_self, {name!r}, {value})")
    if hasattr(cls, "__post_init__"):
        lines.append("    _self.__post_init__()")
    text = f"def __init__({', '.join(parameters)}):\n" + ("\n".join(lines) or "    pass")
    exec(text, known)  # noqa: S102 -- as the standard library does, of names that are identifiers in the class
    compiled: Callable[..., None] = known["__init__"]
    compiled.__qualname__ = f"{cls.__qualname__}.__init__"
    compiled.__module__ = cls.__module__
    return compiled
