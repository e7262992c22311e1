"""The node for files of the workspace, and S3 by way of them."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from linkflow.domain.drawers import Room
from linkflow.domain.errors import Unavailable
from linkflow.local.drawer import MemoryFiles
from linkflow.local.trying import FixedClock
from linkflow.nodes.base import NodeFailure
from linkflow.nodes.egress import EgressClient
from linkflow.services.worker.filing import WorkspaceFiles
from tests.unit.nodes.aws_peer import KEYS
from tests.unit.nodes.peers import codes, http_peer, reply, run


@pytest.fixture
def files() -> Any:
    return partial(WorkspaceFiles, MemoryFiles(), Room(100, 150, 3), FixedClock())


@pytest.fixture
def ask(files: Any) -> Any:
    async def ask(operation: str, whose: str = "ws", **config: Any) -> Any:
        return (await run("storage", {"operation": operation, **config}, files=files(whose))).output

    return ask


async def failing(call: Any) -> NodeFailure:
    with pytest.raises(NodeFailure) as caught:
        await call
    return caught.value


async def test_a_file_comes_back_as_it_was(ask: Any):
    kept = await ask("upload", path="a/b.json", content={"n": [1]})
    assert (kept["size"], kept["content_type"], kept["updated_at"]) == (
        9,
        "application/json",
        "2027-01-15T08:00:00+00:00",
    )
    assert await ask("download", path="a/b.json") == {**kept, "content": {"n": [1]}}
    assert (await ask("download", path="a/b.json", read_as="text"))["content"] == '{"n":[1]}'
    await ask("upload", path="raw", data={"base64": "AP8="}, content_type="image/x")
    assert (await ask("download", path="raw"))["content"] == {"base64": "AP8=", "content_type": "image/x", "size": 2}
    assert await ask("exists", path="a/b.json") == {**kept, "exists": True}
    assert await ask("exists", path="a") == {"path": "a", "exists": False}
    copied = await ask("copy", path="a/b.json", to="c")
    assert (copied["sha256"], copied["path"]) == (kept["sha256"], "c")
    page = await ask("list", max_items=2)
    assert ([one["path"] for one in page["items"]], page["next"]) == (["a/b.json", "c"], "c")
    rest = await ask("list", after=page["next"])
    assert ([one["path"] for one in rest["items"]], rest["truncated"]) == (["raw"], False)
    assert await ask("delete", path="c", paths=["raw", "none"]) == {"deleted": ["c", "raw"]}


async def test_another_workspace_has_other_files(ask: Any):
    await ask("upload", path="a", content="mine")
    assert (await failing(ask("download", whose="other", path="a"))).error.code == "storage_not_found"
    assert (await ask("list", whose="other"))["items"] == []


async def test_paths_stay_inside(ask: Any):
    for path in ("../a", "/a", "a/../../b", "a\0"):
        assert codes("storage", {"operation": "download", "path": path}) == [("", "invalid_value")]
    assert codes("storage", {"operation": "download", "path": "{{ input.path }}"}) == []
    assert (await failing(ask("delete", paths=["../a"]))).error.code == "bad_path"
    assert (await failing(ask("list", prefix="\0"))).error.code == "bad_path"


async def test_bounds(ask: Any):
    failure = await failing(ask("upload", path="a", content="x" * 101))
    assert (failure.error.code, failure.error.retryable) == ("storage_full", False)
    await ask("upload", path="a", content="x" * 100)
    assert (await failing(ask("upload", path="b", content="x" * 100))).error.code == "storage_full"
    assert (await failing(ask("upload", path="a", content="y", overwrite=False))).error.code == "storage_exists"
    assert (await failing(ask("upload", path="b", content={"base64": "no"}))).error.code == "bad_content"


async def test_a_store_that_is_away_is_asked_again(ask: Any):
    class Away(MemoryFiles):
        async def head(self, workspace_id: str, path: str) -> Any:
            raise Unavailable("The database does not answer now; try again.")

    files = WorkspaceFiles(Away(), Room(1, 1, 1), FixedClock(), "ws")
    failure = await failing(run("storage", {"operation": "exists", "path": "a"}, files=files))
    assert (failure.error.code, failure.error.retryable) == ("storage_unavailable", True)
    assert (await failing(run("storage", {"operation": "exists", "path": "a"}))).error.code == "no_storage"


async def test_objects_of_s3_go_by_way_of_files(ask: Any, files: Any, egress: EgressClient):
    async with http_peer(lambda request: reply(200, b"large", {"Content-Type": "text/csv"})) as peer:
        more = {"egress": egress, "credentials": {"aws": {**KEYS, "endpoint": peer.url}}, "files": files("ws")}
        config = {"operation": "get", "bucket": "files", "key": "k", "save_as": "from/s3"}
        output = (await run("s3", config, **more)).output
        assert (output["file"], "content" in output) == ("from/s3", False)
        assert (await ask("download", path="from/s3"))["content"] == "large"
        await run("s3", {"operation": "put", "bucket": "files", "key": "n", "file": "from/s3"}, **more)
        assert (peer.requests[1].body, peer.requests[1].headers["content-type"]) == (b"large", "text/csv")
    both = {"operation": "put", "bucket": "files", "key": "n", "file": "a", "content": "x"}
    assert codes("s3", both) == [("", "invalid_value")]


class TestOtherNodes:
    """They take files from the workspace, and keep them there."""

    async def test_an_answer_is_kept(self, files: Any, egress: EgressClient):
        async with http_peer(lambda _: reply(200, b"%PDF", {"Content-Type": "application/pdf"})) as peer:
            config = {"url": peer.url, "save_as": "in/a.pdf"}
            output = (await run("http", config, egress=egress, files=files("ws"))).output
        assert (output["status"], output["body"]["path"], output["body"]["size"]) == (200, "in/a.pdf", 4)
        info, data = await files("ws").get("in/a.pdf")
        assert (info.content_type, data) == ("application/pdf", b"%PDF")
        async with http_peer(lambda _: reply(404, b"no")) as peer:
            config = {"url": peer.url, "save_as": "in/b", "never_error": True}
            assert (await run("http", config, egress=egress, files=files("ws"))).output["body"] == "no"
        assert await files("ws").head("in/b") is None
        for many in ({"pagination": {"mode": "link"}}, {"batch": {"requests": [{}]}}):
            assert codes("http", {"url": "http://a.example", "save_as": "a", **many}) == [("", "invalid_value")]

    async def test_a_body_is_a_file(self, files: Any, egress: EgressClient):
        await files("ws").put("a/b.bin", b"\x00\xff", "image/x")
        async with http_peer(lambda _: reply(200, b"")) as peer:
            config = {"url": peer.url, "method": "PUT", "body_file": "a/b.bin"}
            await run("http", config, egress=egress, files=files("ws"))
            config = {"url": peer.url, "method": "PUT", "body": {"file": "a/b.bin"}, "body_type": "multipart"}
            await run("http", config, egress=egress, files=files("ws"))
        plain, form = peer.requests
        assert (plain.body, plain.headers["content-type"]) == (b"\x00\xff", "image/x")
        assert b"\x00\xff" not in form.body, "what data say is no path"
        config = {"url": peer.url, "body_file": "none"}
        assert (await failing(run("http", config, egress=egress, files=files("ws")))).error.code == "storage_not_found"
        assert codes("http", {"url": "http://a.example", "body": 1, "body_file": "a"}) == [("", "invalid_value")]

    async def test_messages_have_files(self, files: Any, egress: EgressClient):
        await files("ws").put("out/r.csv", b"a;b", "text/csv")
        async with http_peer(lambda _: reply(200, {"id": "1"})) as peer:
            secrets = {"discord": {"webhook_url": f"{peer.url}/api/webhooks/1/x"}}
            config = {"stored_files": "out/r.csv", "files": {"filename": "t.txt", "text": "t"}}
            await run("discord", config, egress=egress, files=files("ws"), credentials=secrets)
        [sent] = peer.requests
        assert all(part in sent.body for part in (b"a;b", b"text/csv", b'"r.csv"', b'"t.txt"'))
        async with http_peer(lambda _: reply(200, {"ok": True, "result": {"message_id": 7}})) as peer:
            bot = {"telegram": {"token": "1:t", "base_url": peer.url}}
            config = {"operation": "document", "chat_id": "1", "stored_file": "out/r.csv", "caption": "Here"}
            outcome = await run("telegram", config, egress=egress, files=files("ws"), connections=bot)
            assert outcome.output == {"message_id": 7}
        [sent] = peer.requests
        assert all(part in sent.body for part in (b"a;b", b"text/csv", b'"r.csv"', b'name="document"', b"Here"))
        async with http_peer(lambda _: reply(200, b"OK")) as store:
            place = {"ok": True, "upload_url": f"{store.url}/upload/v1/ABC123", "file_id": "F1"}
            async with http_peer(lambda _: reply(200, place)) as peer:
                bot = {"slack": {"token": "xoxb-1", "base_url": f"{peer.url}/api"}}
                config = {"operation": "upload", "channel": "C1", "stored_files": "out/r.csv"}
                await run("slack", config, egress=egress, files=files("ws"), connections=bot)
        assert [sent.body for sent in store.requests] == [b"a;b"]
        assert peer.requests[-1].json()["files"] == [{"id": "F1", "title": "r.csv"}]
        assert codes("slack", {"operation": "upload", "channel": "C1"}) == [("/files", "missing_field")]
        for config, fault in (
            ({}, ("/media", "missing_field")),
            ({"media": "x", "stored_file": "a"}, ("", "invalid_value")),
        ):
            assert codes("telegram", {"operation": "photo", "chat_id": "1", **config}) == [fault]
        config = {"operation": "photo", "chat_id": "1", "stored_file": "no"}
        bot = {"telegram": {"token": "1:t", "base_url": peer.url}}
        given = await failing(run("telegram", config, egress=egress, files=files("ws"), connections=bot))
        assert given.error.code == "storage_not_found"
        given = await failing(
            run("discord", {"stored_files": "no"}, egress=egress, files=files("ws"), credentials=secrets)
        )
        assert given.error.code == "storage_not_found"
