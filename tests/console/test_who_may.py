"""Roles, sessions, CSRF protection and headers of the console, over a running index."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.console.awaited import until
from tests.console.visitor import Visitor

from kae.deploy.cluster import Cluster
from kae.streams.console.app import build_app
from kae.streams.console.backend import ConsoleBackend
from kae.streams.console.guard import Guard, check_exposure
from kae.streams.console.users import ConsoleRole, Users, parse_users, write_user
from kae.streams.errors import ConsoleUnguarded, UsersInvalid
from kae.streams.replica_api.client import ReplicaClient

PASSWORD = "correct horse battery"
BIND = {"word": "lamplight", "match": "cartridge"}


@pytest.fixture(scope="module")
def backend(indexed: Cluster) -> Iterator[ConsoleBackend]:
    opened = ConsoleBackend(indexed.topology, ReplicaClient(indexed.replica.url))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("users") / "users"
    for role in ConsoleRole:
        write_user(path, role.name, role, PASSWORD)
    return path


@pytest.fixture
def visitor(backend: ConsoleBackend, file: Path) -> Visitor:
    return Visitor(build_app(backend, Guard(Users(file), 3600)))


def token_of(page: httpx.Response) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found, page.text
    return found[1]


def sign_in(visitor: Visitor, name: str, password: str = PASSWORD) -> httpx.Response:
    token = token_of(visitor.get("/sign-in"))
    form = {"csrf": token, "name": name, "password": password}
    return visitor.post("/sign-in", data=form)


def form_of(visitor: Visitor, **values: str) -> dict[str, str]:
    return {"csrf": token_of(visitor.get("/terms")), **values}


def test_nobody_sees_anything_before_signing_in(visitor: Visitor) -> None:
    for path in ("/", "/terms", "/item?id=1", "/dead-letters", "/audit", "/term/receipt?word=a"):
        answer = visitor.get(path)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/sign-in")
    assert visitor.get("/api/terms").status_code == 401
    assert visitor.post("/api/terms", json=BIND).status_code == 401


def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(visitor: Visitor) -> None:
    wrong, unknown = sign_in(visitor, "viewer", "x" * 12), sign_in(visitor, "nobody", "x" * 12)
    assert wrong.status_code == unknown.status_code == 401
    shown = [re.search(r'role="alert">([^<]*)', one.text) for one in (wrong, unknown)]
    assert [one and one[1] for one in shown] == ["the name or the password is wrong"] * 2


@pytest.mark.parametrize(
    ("role", "bind", "decide", "replay"),
    [
        ("viewer", 403, 403, 403),
        ("proposer", 422, 403, 403),
        ("approver", 422, 422, 403),
        ("admin", 422, 422, 404),
    ],
)
def test_each_role_may_do_what_it_should(
    visitor: Visitor, role: str, bind: int, decide: int, replay: int
) -> None:
    assert sign_in(visitor, role).headers["location"] == "/"
    assert visitor.get("/terms").status_code == 200
    # An allowed request is refused for its content: 422, or 404 for an unknown dead letter.
    bound = visitor.post("/terms/new", data=form_of(visitor, word="lamplight"))
    decided = visitor.post("/term/decide", data=form_of(visitor, key="no", revision="1"))
    replayed = visitor.post("/dead-letter/replay", data=form_of(visitor, at="0/999999"))
    assert [one.status_code for one in (bound, decided, replayed)] == [bind, decide, replay]


def test_what_another_site_or_session_sends_is_refused(visitor: Visitor) -> None:
    sign_in(visitor, "admin")
    form = form_of(visitor, word="lamplight", match="cartridge")
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
        assert visitor.post("/terms/new", data=form, headers=headers).status_code == 403
    for token in ("", "x" * 32):
        assert visitor.post("/terms/new", data={**form, "csrf": token}).status_code == 403
        headers = {"x-csrf-token": token}
        assert visitor.post("/api/terms", json=BIND, headers=headers).status_code == 403
    plain = {"content-type": "text/plain", "x-csrf-token": form["csrf"]}
    assert visitor.post("/api/terms", content=b"{}", headers=plain).status_code == 415
    assert "lamplight" not in visitor.get("/terms").text


def test_the_event_names_the_user_who_signed_in(visitor: Visitor, backend: ConsoleBackend) -> None:
    sign_in(visitor, "proposer")
    headers = {"x-csrf-token": token_of(visitor.get("/terms"))}
    answer = visitor.post("/api/terms", json={**BIND, "word": "by proposer"}, headers=headers)
    assert answer.status_code == 202
    newest = backend.audit.rows("by proposer")[0]
    assert (newest.by, newest.revision) == ("proposer", answer.json()["revision"])


def test_a_form_that_was_changed_since_its_preview_is_previewed_again(
    visitor: Visitor, backend: ConsoleBackend
) -> None:
    sign_in(visitor, "proposer")
    form = form_of(visitor, word="seen word", where='brand = "hp"', category="brand")
    page = visitor.post("/terms/preview", data=form).text
    hidden = dict(re.findall(r'name="(plan|items_planned|fields)" value="(\w+)"', page))
    assert int(hidden["items_planned"]) > 0
    changed = visitor.post("/terms/new", data={**form, **hidden, "where": 'brand = "nobody"'})
    assert (changed.status_code, "What it would do" in changed.text) == (200, True)
    assert backend.audit.rows("seen word") == []
    assert visitor.post("/terms/new", data={**form, **hidden}).status_code == 303
    until(lambda: (backend.bound("seen word") or None) is not None)
    bound = backend.bound("seen word")
    assert bound is not None
    assert bound.attached_items in (0, int(hidden["items_planned"]))
    backend.release("seen word", "proposer")


def test_a_preview_over_the_api_changes_nothing(visitor: Visitor, backend: ConsoleBackend) -> None:
    sign_in(visitor, "proposer")
    headers = {"x-csrf-token": token_of(visitor.get("/terms"))}
    request = {**BIND, "word": "unbound"}
    answer = visitor.post("/api/terms/preview", json=request, headers=headers)
    assert (answer.status_code, answer.json()["term"]) == (200, "unbound")
    assert backend.audit.rows("unbound") == []


def test_a_new_role_or_password_ends_the_session(backend: ConsoleBackend, tmp_path: Path) -> None:
    path = tmp_path / "users"
    write_user(path, "anna", ConsoleRole.admin, PASSWORD)
    guard = Guard(Users(path), 3600)
    visitor = Visitor(build_app(backend, guard))
    sign_in(visitor, "anna")
    assert visitor.get("/terms").status_code == 200
    write_user(path, "anna", ConsoleRole.viewer, PASSWORD)
    assert visitor.get("/terms").status_code == 303


def test_signing_out_ends_the_session_and_sign_in_redirects_to_no_other_site(
    visitor: Visitor,
) -> None:
    page = visitor.get("/sign-in?back=//evil.example")
    assert "evil" not in page.text
    sign_in(visitor, "viewer")
    out = visitor.post("/sign-out", data=form_of(visitor))
    assert out.headers["location"] == "/sign-in"
    assert visitor.get("/terms").status_code == 303


def test_every_answer_has_the_security_headers(visitor: Visitor) -> None:
    sign_in(visitor, "admin")
    for path in ("/", "/terms", "/static/console.js", "/api/terms", "/nowhere", "/api/nowhere"):
        headers = visitor.get(path).headers
        policy = headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites_forms(
    visitor: Visitor,
) -> None:
    cookie = visitor.get("/sign-in").headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie


def test_without_users_names_beyond_loopback_are_refused(backend: ConsoleBackend) -> None:
    app = build_app(backend, Guard(None, 3600))
    statuses = {
        host: Visitor(app, f"http://{host}:8766").get("/terms").status_code
        for host in ("127.0.0.1", "localhost", "[::1]", "evil.example", "10.0.0.1")
    }
    assert statuses == {
        "127.0.0.1": 200, "localhost": 200, "[::1]": 200, "evil.example": 421, "10.0.0.1": 421,
    }  # fmt: skip


def test_beyond_loopback_it_does_not_start_without_users(indexed: Cluster) -> None:
    open_to_all = indexed.topology.edited({"console.listen": "0.0.0.0:8766"})
    with pytest.raises(ConsoleUnguarded, match="kae console user"):
        check_exposure(open_to_all.console)
    check_exposure(open_to_all.edited({"console.users": "users"}).console)
    check_exposure(indexed.topology.console)


def test_a_broken_line_of_the_users_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsersInvalid, match="users:2: is no NAME:ROLE:HASH"):
        parse_users(tmp_path / "users", "# people\nanna:boss:x\n")
    with pytest.raises(UsersInvalid, match="10 to 1024"):
        write_user(tmp_path / "users", "anna", ConsoleRole.viewer, "short")
