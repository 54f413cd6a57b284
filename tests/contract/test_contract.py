# SPDX-License-Identifier: Apache-2.0
"""The committed schemas are the generated ones, and whatever the structs can say, the schemas allow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.model import messages, reading
from contract import generate
from contract.samples import EXAMPLES

HERE = Path(generate.__file__).parent
_WORDS = st.text(max_size=12)
_LEAVES: dict[type, Any] = {
    str: _WORDS,
    int: st.integers(min_value=-(2**63), max_value=2**63),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
}


def _validator(name: str) -> Any:
    schema = json.loads((HERE / f"{name}.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def _schema_of(example: str) -> str:
    return "state" if example == "will" else example


def test_committed_files_are_what_is_generated() -> None:
    committed = {str(p.relative_to(HERE)): p.read_text(encoding="utf-8") for p in HERE.rglob("*.json")}
    assert committed == generate.files(), "run python -m contract.generate"


def test_generating_elsewhere_writes_the_same_files(tmp_path: Path) -> None:
    assert generate.main([str(tmp_path)]) == 0
    assert {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.json")} == set(generate.files())


def test_every_message_of_the_wire_has_a_schema_and_an_example() -> None:
    covered = {root.__name__ for root in generate.ROOTS.values()}
    assert {m.__name__ for m in messages.MESSAGES.values()} <= covered
    assert {type(e).__name__ for e in EXAMPLES.values()} == covered


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_validates_and_decodes(name: str) -> None:
    text = (HERE / "examples" / f"{name}.json").read_bytes()
    _validator(_schema_of(name)).validate(json.loads(text))
    assert msgspec.json.decode(text, type=type(EXAMPLES[name])) == EXAMPLES[name]


@pytest.mark.parametrize("name", EXAMPLES)
def test_schema_refuses_another_messages_body(name: str) -> None:
    for other, value in EXAMPLES.items():
        if _schema_of(other) != _schema_of(name):
            body = json.loads(msgspec.json.encode(value))
            assert not _validator(_schema_of(name)).is_valid(body), other


@pytest.mark.parametrize("name", generate.ROOTS)
def test_every_struct_is_described(name: str) -> None:
    schema = generate.schema(generate.ROOTS[name])
    for part in (schema, *schema["$defs"].values()):
        assert part["title"]
        assert part["description"]
        assert "\n" not in part["description"]


def _strategy(root: type) -> st.SearchStrategy[Any]:
    """Values of a struct with every field drawn, whatever its default."""

    def of(kind: Any) -> st.SearchStrategy[Any]:
        info = msgspec.inspect.type_info(kind)
        return walk(info)

    def walk(info: Any) -> st.SearchStrategy[Any]:
        match info:
            case msgspec.inspect.StructType(cls=cls, fields=fields):
                return st.builds(
                    cls,
                    **{f.name: st.just(f.default) if f.name == "schema" else walk(f.type) for f in fields},
                )
            case msgspec.inspect.ListType(item_type=item):
                return st.lists(walk(item), max_size=2)
            case msgspec.inspect.DictType(key_type=key, value_type=value):
                return st.dictionaries(walk(key), walk(value), max_size=2)
            case msgspec.inspect.UnionType(types=types):
                return st.one_of(*(walk(t) for t in types))
            case msgspec.inspect.LiteralType(values=values):
                return st.sampled_from(values)
            case msgspec.inspect.NoneType():
                return st.none()
            case msgspec.inspect.StrType():
                return _LEAVES[str]
            case msgspec.inspect.IntType():
                return _LEAVES[int]
            case msgspec.inspect.FloatType():
                return _LEAVES[float]
            case msgspec.inspect.BoolType():
                return _LEAVES[bool]
        raise AssertionError(info)

    return of(root)


@pytest.mark.parametrize("name", generate.ROOTS)
def test_any_message_validates_and_survives_the_wire(name: str) -> None:
    validator, root = _validator(name), generate.ROOTS[name]

    @settings(max_examples=25, deadline=None)
    @given(_strategy(root))
    def check(value: Any) -> None:
        wire = msgspec.json.encode(value)
        validator.validate(json.loads(wire))
        assert msgspec.json.decode(wire, type=root) == value

    check()


def test_reading_schema_is_the_one_queries_print() -> None:
    assert generate.schema(reading.Reading)["properties"]["schema"]["const"] == "platen.reading/1"
