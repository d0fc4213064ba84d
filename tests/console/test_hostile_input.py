"""Hostile input to the console and the term API: no 5xx, no stuck registrar, no lost slot.

KAE_FUZZ sets the number of inputs per test; KAE_FUZZ=500 makes about 10,000 in all.
"""

import os
from collections.abc import Iterator
from json import dumps
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import BaseSchema, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.console.awaited import until

from kae.deploy.cluster import Cluster
from kae.encoders.categories import CATEGORIES
from kae.streams.console.api import OPERATIONS, ApiOperation, ApiRequest

pytestmark = pytest.mark.long

INPUTS = int(os.environ.get("KAE_FUZZ", "12"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
# An operation without parameters has no invalid request.
REQUESTS = [
    pytest.param(one, mode, id=f"{one.name}-{mode.value}")
    for one in OPERATIONS
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    if mode is GenerationMode.POSITIVE or one.request is not ApiRequest
]
fuzzed = settings(
    max_examples=INPUTS,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)

# Look-alike, invisible, combining and right-to-left characters, and delimiters of formats.
SIGNS = (
    "аbсԁеaeïΙl1İıßﬁＡ①\u200b\u200d\u202e\u0301\ufeff\x00\x1f\"'\\<>&%;=()[]{}/.\n\r\t 🜚漢語ไทย한"
)
text = st.one_of(st.text(max_size=80), st.text(alphabet=SIGNS, max_size=300))
condition = st.one_of(
    text,
    st.lists(
        st.sampled_from(["brand", "=", "!=", '"hp"', "and", "or", "not", "(", ")", "'", "colour"]),
        max_size=60,
    ).map(" ".join),
    st.integers(1, 600).map(lambda deep: "(" * deep + 'brand = "hp"' + ")" * deep),
    st.integers(1, 200).map(lambda long: " or ".join(['brand = "hp"'] * long)),
)
ids = st.one_of(
    st.lists(text, max_size=20),
    st.sampled_from([2_000, 12_000]).map(lambda many: [f"id-{n}" for n in range(many)]),
)
moment = st.one_of(
    text,
    st.datetimes(timezones=st.timezones()).map(lambda at: at.isoformat()),
    st.sampled_from(
        ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "1970-01-01T00:00Z"]
    ),
)
bindings = st.fixed_dictionaries(
    {"word": text},
    optional={
        "match": text,
        "where": condition,
        "items": ids,
        "aliases": st.lists(text, max_size=70),
        "category": st.one_of(st.sampled_from(CATEGORIES), text),
        "owner": text,
        "reason": text,
        "until": moment,
        "from": moment,
    },
)


@pytest.fixture(scope="module")
def api(console: str) -> BaseSchema:
    return schemathesis.openapi.from_url(f"{console}/api/openapi.json")


@pytest.fixture(scope="module")
def client(console: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=console, timeout=30, trust_env=False) as opened:
        yield opened


@pytest.mark.parametrize(("one", "mode"), REQUESTS)
def test_the_api_answers_as_its_document_says(
    api: BaseSchema, one: ApiOperation, mode: GenerationMode
) -> None:
    @fuzzed
    @given(case=api[one.path][one.method].as_strategy(generation_mode=mode))
    def ask(case: Case[Any]) -> None:
        case.call_and_validate(checks=CHECKS)

    ask()


@fuzzed
@given(
    body=st.one_of(bindings, st.recursive(st.none() | st.floats() | text, st.lists, max_leaves=9))
)
def test_no_binding_breaks_the_api(client: httpx.Client, body: object) -> None:
    json = {"content-type": "application/json"}
    answer = client.post("/api/terms", content=dumps(body), headers=json)
    assert answer.status_code in (202, 400, 413, 422), answer.text


@fuzzed
@given(body=st.binary(max_size=400))
def test_no_bytes_break_the_api(client: httpx.Client, body: bytes) -> None:
    json = {"content-type": "application/json"}
    assert client.post("/api/terms", content=body, headers=json).status_code in (400, 422)


@fuzzed
@given(form=bindings)
def test_no_form_breaks_the_page(client: httpx.Client, form: dict[str, object]) -> None:
    token = client.get("/terms/new").text.partition('name="csrf" value="')[2].partition('"')[0]
    fields = {name: str(value) for name, value in form.items()}
    answer = client.post("/terms/new", data={**fields, "csrf": token})
    assert answer.status_code in (303, 400, 413, 422), answer.text


@fuzzed
@given(value=st.one_of(text, st.sampled_from([".", "..", "/", "../../status", "%2e%2e", "?", "#"])))
def test_no_address_breaks_a_page(client: httpx.Client, value: str) -> None:
    for path, name in (
        ("/term", "word"), ("/term/receipt", "word"), ("/item", "id"), ("/item", "q"),
        ("/dead-letter", "at"), ("/audit", "before"), ("/terms", "q"), ("/api/receipt", "word"),
    ):  # fmt: skip
        answer = client.get(path, params={name: value})
        assert answer.status_code < 500, f"{path}?{name}={value!r}: {answer.text}"


def test_afterwards_terms_take_effect_and_every_slot_is_accounted_for(
    client: httpx.Client, indexed: Cluster
) -> None:
    published = client.post("/api/terms", json={"word": "afterwards", "match": "hp"}).json()
    wanted = {"word": "afterwards"}
    until(
        lambda: (
            client.get("/api/receipt", params=wanted).json().get("revision")
            == published["revision"]
        )
    )
    for bound in client.get("/api/terms").json()["active"]:
        assert client.post("/api/terms/release", json={"word": bound["term"]}).status_code == 202

    def all_free() -> bool:
        shown = client.get("/api/terms").json()
        return not shown["active"] and not shown["quarantined"]

    until(all_free)
    shown = client.get("/api/terms").json()
    assert [one["free"] for one in shown["capacity"]] == [
        group.reserved for group in indexed.topology.groups
    ]
    indexed.check()
