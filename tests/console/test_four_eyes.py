"""With terms.approvals set, a word that one person proposes waits for another's approval."""

import re
from pathlib import Path

from tests.console.awaited import until
from tests.console.visitor import Visitor

from kae.deploy.cluster import Cluster
from kae.streams.console.app import build_app
from kae.streams.console.backend import ConsoleBackend
from kae.streams.console.guard import Guard
from kae.streams.console.users import ConsoleRole, Users, write_user
from kae.streams.replica_api.client import ReplicaClient

PASSWORD = "correct horse battery"


def token_of(visitor: Visitor, path: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', visitor.get(path).text)
    assert found
    return found[1]


def signed_in(backend: ConsoleBackend, users: Path, name: str) -> Visitor:
    visitor = Visitor(build_app(backend, Guard(Users(users), 3600)))
    form = {"csrf": token_of(visitor, "/sign-in"), "name": name, "password": PASSWORD}
    assert visitor.post("/sign-in", data=form).status_code == 303
    return visitor


def decide(visitor: Visitor, revision: str, decision: str) -> int:
    form = {"key": "lamplight", "revision": revision, "decision": decision}
    sent = visitor.post("/term/decide", data={"csrf": token_of(visitor, "/terms"), **form})
    return sent.status_code


def test_a_proposal_waits_until_somebody_else_approves_it(tmp_path: Path) -> None:
    users = tmp_path / "users"
    for name in ("anna", "bert"):
        write_user(users, name, ConsoleRole.approver, PASSWORD)
    changes = {"terms.approvals": 1}
    with Cluster(tmp_path / "cluster", shards=1, workers=1, changes=changes) as cluster:
        backend = ConsoleBackend(cluster.topology, ReplicaClient(cluster.replica.url))
        anna, bert = (signed_in(backend, users, name) for name in ("anna", "bert"))
        form = {"csrf": token_of(anna, "/terms"), "word": "lamplight", "match": "lamp"}
        sent = anna.post("/terms/new", data=form)
        revision = sent.headers["location"].partition("revision=")[2]
        until(lambda: "Waiting for approval" in bert.get("/terms").text)
        assert backend.bound("lamplight") is None

        decide(anna, revision, "approve")
        until(lambda: "refused" in anna.get("/term?word=lamplight").text)
        assert backend.bound("lamplight") is None

        assert decide(bert, revision, "approve") == 303
        until(lambda: backend.bound("lamplight") is not None)
        bound = backend.bound("lamplight")
        assert bound is not None
        assert (bound.by, bound.approved_by) == ("anna", "bert")
        assert decide(bert, revision, "approve") == 422
        backend.close()
