"""Chat services: what each operation asks for, and what becomes of their refusals. The answers have the shapes of the
services' documentation."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from linkflow.nodes.egress import EgressClient
from tests.unit.nodes.peers import Request, codes, failing, http_peer, reply, run

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()


async def asked(type: str, config: dict[str, Any], secrets: dict[str, Any], egress: EgressClient, *answers: Any,
                **more: Any) -> tuple[Any, list[Request]]:  # fmt: skip
    """The output, and the requests, of a node whose peer gives these answers one after the other."""
    left = list(answers)
    async with http_peer(lambda _: left.pop(0) if isinstance(left[0], bytes) else reply(200, left.pop(0))) as peer:
        filled = {name: value.replace("PEER", peer.url) for name, value in secrets.items()}
        outcome = await run(type, config, egress=egress, credentials={"default": filled}, **more)
    assert left == []
    return outcome.output, peer.requests


async def refused(type: str, config: dict[str, Any], secrets: dict[str, Any], egress: EgressClient, answer: bytes,
                  **more: Any) -> Any:  # fmt: skip
    async with http_peer(lambda _: answer) as peer:
        filled = {name: value.replace("PEER", peer.url) for name, value in secrets.items()}
        return await failing(run(type, config, egress=egress, credentials={"default": filled}, **more))


class TestSlackMore:
    BOT = {"token": "xoxb-secret-1", "base_url": "PEER/api"}

    @pytest.mark.parametrize(
        ("config", "path", "body"),
        [
            ({"operation": "update", "channel": "C1", "ts": "1.2", "text": "new"}, "chat.update",
             {"channel": "C1", "text": "new", "ts": "1.2"}),
            ({"operation": "ephemeral", "channel": "C1", "user": "U1", "text": "psst"}, "chat.postEphemeral",
             {"channel": "C1", "text": "psst", "user": "U1"}),
            ({"operation": "schedule", "channel": "C1", "post_at": "2027-01-15T09:00:00Z", "text": "x"},
             "chat.scheduleMessage", {"channel": "C1", "text": "x", "post_at": 1800003600}),
            ({"operation": "delete", "channel": "C1", "ts": "1.2"}, "chat.delete", {"channel": "C1", "ts": "1.2"}),
            ({"operation": "react", "channel": "C1", "ts": "1.2", "emoji": ":eyes:"}, "reactions.add",
             {"channel": "C1", "timestamp": "1.2", "name": "eyes"}),
            ({"operation": "unreact", "channel": "C1", "ts": "1.2", "emoji": "eyes"}, "reactions.remove",
             {"channel": "C1", "timestamp": "1.2", "name": "eyes"}),
            ({"channel": "C1", "text": "x", "thread_ts": "1.0", "reply_broadcast": True, "unfurl_links": False},
             "chat.postMessage",
             {"channel": "C1", "text": "x", "thread_ts": "1.0", "reply_broadcast": True, "unfurl_links": False}),
        ],
    )  # fmt: skip
    async def test_messages(self, egress: EgressClient, config: dict[str, Any], path: str, body: dict[str, Any]):
        output, [request] = await asked("slack", config, self.BOT, egress, {"ok": True, "channel": "C1", "ts": "1.2"})
        assert (request.path, request.json()) == (f"/api/{path}", body)
        assert request.headers["authorization"] == "Bearer xoxb-secret-1"
        assert output["ok"]

    @pytest.mark.parametrize(
        ("operation", "error", "attempt", "is_done"),
        [("react", "already_reacted", 1, True), ("unreact", "no_reaction", 1, True), ("react", "no_reaction", 1, False),
         ("delete", "message_not_found", 2, True), ("delete", "message_not_found", 1, False)],
    )  # fmt: skip
    async def test_what_is_done_already(
        self, egress: EgressClient, operation: str, error: str, attempt: int, is_done: bool
    ):
        config = {"operation": operation, "channel": "C1", "ts": "1.2"}
        config |= {} if operation == "delete" else {"emoji": "eyes"}
        answer = reply(200, {"ok": False, "error": error})
        if is_done:
            output, _ = await asked("slack", config, self.BOT, egress, answer, attempt=attempt)
            assert output == {"ok": True, "channel": "C1", "ts": "1.2"}
        else:
            failure = await refused("slack", config, self.BOT, egress, answer, attempt=attempt)
            assert failure.error.details["error"] == error

    async def test_a_file_goes_where_slack_says_and_the_token_does_not(self, egress: EgressClient):
        async with http_peer(lambda _: reply(200, b"OK")) as store:
            place = {"ok": True, "upload_url": f"{store.url}/upload/v1/ABC123", "file_id": "F1"}
            file = {"filename": "../a.png", "base64": PNG}
            config = {"operation": "upload", "channel": "C1", "file": file, "comment": "look", "thread_ts": "1.0"}
            done = {"ok": True, "files": [{"id": "F1", "title": "a.png"}]}
            output, [first, last] = await asked("slack", config, self.BOT, egress, place, done)
        assert output == done
        assert (first.path, dict(first.form())) == (
            "/api/files.getUploadURLExternal", {"filename": "a.png", "length": "8"},
        )  # fmt: skip
        [sent] = store.requests
        assert (sent.body, "authorization" in sent.headers) == (base64.b64decode(PNG), False)
        assert last.json() == {
            "files": [{"id": "F1", "title": "a.png"}], "channel_id": "C1", "thread_ts": "1.0", "initial_comment": "look",
        }  # fmt: skip

    async def test_lists_go_on_to_their_limit_and_say_so(self, egress: EgressClient):
        pages = [
            {"ok": True, "members": [{"id": "U1"}, {"id": "U2"}], "response_metadata": {"next_cursor": "dXNlcjpV"}},
            {"ok": True, "members": [{"id": "U3"}, {"id": "U4"}], "response_metadata": {"next_cursor": ""}},
        ]
        output, requests = await asked("slack", {"operation": "users", "limit": 3}, self.BOT, egress, *pages)
        assert output == {"items": [{"id": "U1"}, {"id": "U2"}, {"id": "U3"}], "count": 3, "more": True}
        assert [dict(one.form()).get("cursor") for one in requests] == [None, "dXNlcjpV"]
        answer = {"ok": True, "messages": [{"ts": "1.2"}], "has_more": False}
        config = {"operation": "replies", "channel": "C1", "thread_ts": "1.0"}
        output, [request] = await asked("slack", config, self.BOT, egress, answer)
        assert (output["count"], output["more"], dict(request.form())["ts"]) == (1, False, "1.0")

    async def test_any_method(self, egress: EgressClient):
        config = {
            "operation": "call",
            "method": "views.publish",
            "arguments": {"user_id": "U1", "view": {"type": "home"}},
        }
        output, [request] = await asked("slack", config, self.BOT, egress, {"ok": True, "view": {"id": "V1"}})
        assert output["view"] == {"id": "V1"}
        assert dict(request.form()) == {"user_id": "U1", "view": '{"type": "home"}'}
        assert codes("slack", {**config, "method": "../oauth"}) == [("/method", "invalid_value")]

    async def test_a_missing_scope_is_named(self, egress: EgressClient):
        answer = reply(
            200, {"ok": False, "error": "missing_scope", "needed": "users:read.email", "provided": "chat:write"}
        )
        config = {"operation": "lookup_user", "email": "a@example.com"}
        failure = await refused("slack", config, self.BOT, egress, answer)
        assert (failure.error.message, failure.error.details["needed"]) == (
            "Slack refused: missing_scope.", "users:read.email",
        )  # fmt: skip

    async def test_everything_that_is_missing_is_told_at_once(self, egress: EgressClient):
        assert codes("slack", {"operation": "react", "channel": "C1"}) == [
            ("/ts", "missing_field"), ("/emoji", "missing_field"),
        ]  # fmt: skip
        assert (
            codes("slack", {"operation": "react", "channel": "{{ input.c }}", "ts": "{{ input.ts }}", "emoji": "x"})
            == []
        )
        config = {"operation": "users"}
        failure = await failing(
            run("slack", config, egress=egress, credentials={"slack": {"webhook_url": "http://h.example"}})
        )
        assert failure.error.code == "no_credential"


class TestDiscord:
    HOOK = {"webhook_url": "PEER/api/webhooks/1/hook-token-1"}
    BOT = {"bot_token": "bot-token-1", "base_url": "PEER/api/v10"}
    SAID = {"id": "1100", "channel_id": "42", "content": "hi"}

    async def test_by_webhook(self, egress: EgressClient):
        config = {
            "content": "hi", "embeds": [{"title": "T"}], "username": "Flow", "thread_id": "9", "silent": True,
            "allowed_mentions": {"parse": []},
        }  # fmt: skip
        output, [request] = await asked("discord", config, self.HOOK, egress, self.SAID)
        assert output == self.SAID
        assert (request.method, request.path) == ("POST", "/api/webhooks/1/hook-token-1?wait=true&thread_id=9")
        assert request.json() == {
            "content": "hi", "embeds": [{"title": "T"}], "username": "Flow", "flags": 4096,
            "allowed_mentions": {"parse": []},
        }  # fmt: skip
        config = {"operation": "edit", "message_id": "1100", "content": ""}
        _, [request] = await asked("discord", config, self.HOOK, egress, self.SAID)
        assert (request.method, request.path) == ("PATCH", "/api/webhooks/1/hook-token-1/messages/1100")
        assert request.json() == {"content": ""}

    async def test_as_a_bot(self, egress: EgressClient):
        config = {"channel": "42", "content": "hi", "reply_to": "1099"}
        for _ in range(2):
            _, [request] = await asked("discord", config, self.BOT, egress, self.SAID)
        assert request.headers["authorization"] == "Bot bot-token-1"
        body = request.json()
        assert (request.path, len(body.pop("nonce"))) == ("/api/v10/channels/42/messages", 25)
        assert body == {"content": "hi", "enforce_nonce": True, "message_reference": {"message_id": "1099"}}

    async def test_files(self, egress: EgressClient):
        files = [{"filename": "a.png", "base64": PNG}, {"filename": "b.txt", "text": "ü"}]
        _, [request] = await asked("discord", {"content": "see", "files": files}, self.HOOK, egress, self.SAID)
        parts = request.parts()
        assert parts["payload_json"].get_payload(decode=True) == b'{"content":"see"}'
        assert parts["files[0]"].get_payload(decode=True) == base64.b64decode(PNG)
        assert (parts["files[1]"].get_filename(), parts["files[1]"].get_content_type()) == ("b.txt", "text/plain")

    @pytest.mark.parametrize(
        ("config", "method", "path"),
        [
            ({"operation": "get", "channel": "4", "message_id": "5"}, "GET", "/channels/4/messages/5"),
            ({"operation": "delete", "channel": "4", "message_id": "5"}, "DELETE", "/channels/4/messages/5"),
            ({"operation": "react", "channel": "4", "message_id": "5", "emoji": "👍"}, "PUT",
             "/channels/4/messages/5/reactions/%F0%9F%91%8D/@me"),
            ({"operation": "create_thread", "channel": "4", "thread_name": "T"}, "POST", "/channels/4/threads"),
            ({"operation": "create_thread", "channel": "4", "message_id": "5", "thread_name": "T"}, "POST",
             "/channels/4/messages/5/threads"),
            ({"operation": "call", "method": "GET", "path": "guilds/1"}, "GET", "/guilds/1"),
        ],
    )  # fmt: skip
    async def test_other_operations(self, egress: EgressClient, config: dict[str, Any], method: str, path: str):
        _, [request] = await asked("discord", config, self.BOT, egress, {"id": "1"})
        assert (request.method, request.path) == (method, f"/api/v10{path}")

    async def test_a_list_of_messages(self, egress: EgressClient):
        first = [{"id": str(1000 - number)} for number in range(100)]
        output, requests = await asked(
            "discord", {"operation": "list", "channel": "4", "limit": 101}, self.BOT, egress, first, [{"id": "1"}]
        )
        assert (output["count"], output["more"], output["items"][-1]) == (101, False, {"id": "1"})
        assert requests[1].path.endswith("?limit=100&before=901")

    @pytest.mark.parametrize(
        ("answer", "code", "retryable", "wait"),
        [
            (reply(429, {"message": "You are being rate limited.", "retry_after": 1.336, "global": False},
                   {"Retry-After": "2"}), "discord_rate_limited", True, 1336),
            (reply(404, {"message": "Unknown Channel", "code": 10003}), "discord_error", False, 0),
            (reply(502, b"<html>"), "discord_error", True, 0),
            (reply(302, b"", {"Location": "http://127.0.0.1/hook-token-1"}), "discord_error", False, 0),
        ],
    )  # fmt: skip
    async def test_refusals(self, egress: EgressClient, answer: bytes, code: str, retryable: bool, wait: int):
        for secrets, config in ((self.HOOK, {"content": "x"}), (self.BOT, {"content": "x", "channel": "4"})):
            failure = await refused("discord", config, secrets, egress, answer)
            assert (failure.error.code, failure.error.retryable, failure.retry_after) == (code, retryable, wait)

    async def test_a_deletion_is_done_once(self, egress: EgressClient):
        config = {"operation": "delete", "channel": "4", "message_id": "5"}
        gone = reply(404, {"message": "Unknown Message", "code": 10008})
        assert (await refused("discord", config, self.BOT, egress, gone)).error.details["error"] == 10008
        assert (await asked("discord", config, self.BOT, egress, gone, attempt=2))[0] == {"ok": True}

    async def test_what_is_missing(self, egress: EgressClient):
        assert codes("discord", {"operation": "react"}) == [
            ("/channel", "missing_field"), ("/message_id", "missing_field"), ("/emoji", "missing_field"),
        ]  # fmt: skip
        assert (await failing(run("discord", {"content": "x"}, egress=egress))).error.code == "no_credential"
        hook = {"discord": {"webhook_url": "http://127.0.0.1:1/x"}}
        config = {"operation": "list", "channel": "4"}
        assert (await failing(run("discord", config, egress=egress, credentials=hook))).error.code == "no_credential"
        bot = {"discord": {"bot_token": "t"}}
        for config in (
            {"content": "x"},
            {"operation": "get", "channel": "..", "message_id": "1"},
            {"operation": "call", "path": "/a/%2e%2e/b"},
        ):
            assert (
                await failing(run("discord", config, egress=egress, credentials=bot))
            ).error.code == "invalid_params"


class TestTeams:
    HOOK = {"webhook_url": "PEER/workflows/teams-key-1?sig=s3cr3t-sig"}

    async def test_a_card(self, egress: EgressClient):
        config = {
            "title": "Down", "style": "error", "text": "<at>Ada</at> look", "facts": {"Host": "db-1", "Since": 5},
            "buttons": [{"title": "Open", "url": "https://a.example"}], "mentions": {"Ada": "ada@example.com"},
            "image_url": "https://a.example/a.png",
        }  # fmt: skip
        output, [request] = await asked("teams", config, self.HOOK, egress, reply(202))
        assert output == {"ok": True, "status": 202}
        assert request.path == "/workflows/teams-key-1?sig=s3cr3t-sig"
        [attachment] = request.json()["attachments"]
        card = attachment["content"]
        assert [part["type"] for part in card["body"]] == ["TextBlock", "TextBlock", "FactSet", "Image"]
        assert card["body"][0]["color"] == "attention"
        assert card["body"][2]["facts"] == [{"title": "Host", "value": "db-1"}, {"title": "Since", "value": "5"}]
        assert card["actions"] == [{"type": "Action.OpenUrl", "title": "Open", "url": "https://a.example"}]
        assert card["msteams"]["entities"][0]["mentioned"] == {"id": "ada@example.com", "name": "Ada"}
        own = {"type": "AdaptiveCard", "version": "1.4", "body": []}
        _, [request] = await asked("teams", {"card": own}, self.HOOK, egress, reply(200, b"1"))
        assert request.json()["attachments"][0]["content"] == own

    @pytest.mark.parametrize(
        ("answer", "code", "retryable", "wait"),
        [
            (reply(200, b"Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 "
                        b"with ContextId x"), "teams_rate_limited", True, 0),
            (reply(200, b"Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 400."),
             "teams_error", False, 0),
            (reply(429, {"error": {"message": "slow down"}}, {"Retry-After": "9"}), "teams_rate_limited", True, 9000),
            (reply(400, {"error": {"code": "TriggerInputSchemaMismatch", "message": "no"}}), "teams_error", False, 0),
        ],
    )  # fmt: skip
    async def test_refusals(self, egress: EgressClient, answer: bytes, code: str, retryable: bool, wait: int):
        failure = await refused("teams", {"text": "x"}, self.HOOK, egress, answer)
        assert (failure.error.code, failure.error.retryable, failure.retry_after) == (code, retryable, wait)
        assert (await failing(run("teams", {"text": "x"}, egress=egress))).error.code == "no_credential"


class TestTelegram:
    BOT = {"token": "123456:AAF-telegram_token", "base_url": "PEER"}
    AT = "/bot123456:AAF-telegram_token"
    SAID = {"ok": True, "result": {"message_id": 12, "chat": {"id": 5}, "date": 1}}

    @pytest.mark.parametrize(
        ("config", "path", "body"),
        [
            ({"chat_id": 5, "message": "hi", "silent": True, "link_preview": False, "reply_to": 11, "topic_id": 3},
             "sendMessage",
             {"chat_id": "5", "text": "hi", "disable_notification": True, "reply_parameters": {"message_id": 11},
              "link_preview_options": {"is_disabled": True}, "message_thread_id": "3"}),
            ({"operation": "photo", "chat_id": "5", "photo": "https://a.example/a.png", "caption": "c"}, "sendPhoto",
             {"chat_id": "5", "photo": "https://a.example/a.png", "caption": "c"}),
            ({"operation": "location", "chat_id": "5", "latitude": 0, "longitude": 1.5}, "sendLocation",
             {"chat_id": "5", "latitude": 0.0, "longitude": 1.5}),
            ({"operation": "edit", "chat_id": "5", "message_id": 12, "text": "new",
              "buttons": [[{"text": "A", "data": "a"}, {"text": "B", "url": "https://b.example"}]]}, "editMessageText",
             {"chat_id": "5", "message_id": "12", "text": "new", "reply_markup": {"inline_keyboard": [[
                 {"text": "A", "callback_data": "a"}, {"text": "B", "url": "https://b.example"}]]}}),
            ({"operation": "edit", "chat_id": "5", "message_id": 12, "caption": "c"}, "editMessageCaption",
             {"chat_id": "5", "message_id": "12", "caption": "c"}),
            ({"operation": "edit", "chat_id": "5", "message_id": 12, "buttons": [{"text": "A", "data": "a"}]},
             "editMessageReplyMarkup", {"chat_id": "5", "message_id": "12", "reply_markup": {"inline_keyboard": [[
                 {"text": "A", "callback_data": "a"}]]}}),
            ({"operation": "delete", "chat_id": "5", "message_id": "12"}, "deleteMessage",
             {"chat_id": "5", "message_id": "12"}),
            ({"operation": "forward", "chat_id": "5", "message_id": "12", "from_chat_id": "6", "protect_content": True},
             "forwardMessage", {"chat_id": "5", "message_id": "12", "from_chat_id": "6", "protect_content": True}),
            ({"operation": "answer", "callback_query_id": "q", "text": "ok", "show_alert": True}, "answerCallbackQuery",
             {"callback_query_id": "q", "text": "ok", "show_alert": True}),
            ({"operation": "action", "chat_id": "5"}, "sendChatAction", {"chat_id": "5", "action": "typing"}),
            ({"operation": "call", "method": "sendDice", "arguments": {"chat_id": 5}}, "sendDice", {"chat_id": 5}),
        ],
    )  # fmt: skip
    async def test_operations(self, egress: EgressClient, config: dict[str, Any], path: str, body: dict[str, Any]):
        output, [request] = await asked("telegram", config, self.BOT, egress, self.SAID)
        assert (request.path, request.json()) == (f"{self.AT}/{path}", body)
        assert output == self.SAID["result"]

    async def test_a_file(self, egress: EgressClient):
        file = {"filename": "a.pdf", "base64": PNG, "size": 8}
        config = {"operation": "document", "chat_id": "5", "document": file, "buttons": [{"text": "A", "data": "a"}]}
        await asked("telegram", config, self.BOT, egress, self.SAID)
        _, [request] = await asked("telegram", config, self.BOT, egress, self.SAID)
        parts = request.parts()
        assert parts["document"].get_filename() == "a.pdf"
        assert parts["document"].get_payload(decode=True) == base64.b64decode(PNG)
        assert b"inline_keyboard" in parts["reply_markup"].get_payload(decode=True)

    async def test_a_download(self, egress: EgressClient):
        place = {"ok": True, "result": {"file_id": "F", "file_path": "photos/file 1.png"}}
        output, [_, request] = await asked(
            "telegram", {"operation": "download", "file_id": "F"}, self.BOT, egress, place,
            reply(200, base64.b64decode(PNG)),
        )  # fmt: skip
        assert request.path == f"/file{self.AT}/photos/file%201.png"
        assert output == {"base64": PNG, "content_type": "image/png", "size": 8, "filename": "file 1.png"}

    @pytest.mark.parametrize(
        ("answer", "code", "retryable", "wait"),
        [
            (reply(429, {"ok": False, "error_code": 429, "description": "Too Many Requests: retry after 35",
                         "parameters": {"retry_after": 35}}), "telegram_rate_limited", True, 35_000),
            (reply(400, {"ok": False, "error_code": 400, "description": "Bad Request: chat not found"}),
             "telegram_error", False, 0),
            (reply(404, {"ok": False, "error_code": 404, "description": "Not Found"}), "telegram_error", False, 0),
            (reply(502, b"<html>"), "telegram_error", True, 0),
            (reply(200, b"<html>"), "telegram_error", True, 0),
        ],
    )  # fmt: skip
    async def test_refusals(self, egress: EgressClient, answer: bytes, code: str, retryable: bool, wait: int):
        failure = await refused("telegram", {"chat_id": "5", "text": "x"}, self.BOT, egress, answer)
        assert (failure.error.code, failure.error.retryable, failure.retry_after) == (code, retryable, wait)

    async def test_what_is_done_already(self, egress: EgressClient):
        same = reply(
            400, {"ok": False, "error_code": 400, "description": "Bad Request: message is not modified: specified"}
        )
        config = {"operation": "edit", "chat_id": "5", "message_id": "12", "text": "same"}
        assert (await asked("telegram", config, self.BOT, egress, same))[0] == {"ok": True}
        gone = reply(400, {"ok": False, "error_code": 400, "description": "Bad Request: message to delete not found"})
        config = {"operation": "delete", "chat_id": "5", "message_id": "12"}
        assert (await refused("telegram", config, self.BOT, egress, gone)).error.code == "telegram_error"
        assert (await asked("telegram", config, self.BOT, egress, gone, attempt=2))[0] == {"ok": True}
        assert (
            await failing(run("telegram", {"chat_id": "5", "text": "x"}, egress=egress))
        ).error.code == "no_credential"


class TestTwilio:
    ACCOUNT = {"account_sid": "AC1", "auth_token": "twilio-token-1", "from": "+15005550006", "base_url": "PEER"}
    AT = "/2010-04-01/Accounts/AC1"

    @pytest.mark.parametrize(
        ("config", "path", "form"),
        [
            ({"to": "+49 1", "body": "a & b", "media_url": ["https://a.example/1", "https://a.example/2"]}, "Messages",
             [("To", "+49 1"), ("From", "+15005550006"), ("Body", "a & b"), ("MediaUrl", "https://a.example/1"),
              ("MediaUrl", "https://a.example/2")]),
            ({"operation": "whatsapp", "to": "+491", "content_sid": "HX1", "content_variables": {"1": "Ada"}}, "Messages",
             [("To", "whatsapp:+491"), ("From", "whatsapp:+15005550006"), ("ContentSid", "HX1"),
              ("ContentVariables", '{"1":"Ada"}')]),
            ({"to": "+491", "from": "MG1", "body": "later", "send_at": "2027-01-15T09:00:00Z"}, "Messages",
             [("To", "+491"), ("MessagingServiceSid", "MG1"), ("Body", "later"), ("SendAt", "2027-01-15T09:00:00Z"),
              ("ScheduleType", "fixed")]),
            ({"operation": "call", "to": "+491", "say": "5 < 6"}, "Calls",
             [("To", "+491"), ("From", "+15005550006"),
              ("Twiml", '<Response><Say voice="alice" language="en-US">5 &lt; 6</Say></Response>')]),
        ],
    )  # fmt: skip
    async def test_operations(self, egress: EgressClient, config: dict[str, Any], path: str, form: Any):
        output, [request] = await asked("twilio", config, self.ACCOUNT, egress, {"sid": "SM1", "status": "queued"})
        assert (request.path, request.form()) == (f"{self.AT}/{path}.json", form)
        assert base64.b64decode(request.headers["authorization"][6:]) == b"AC1:twilio-token-1"
        assert output == {"sid": "SM1", "status": "queued"}

    async def test_reading(self, egress: EgressClient):
        config = {"operation": "get_message", "sid": "SM1"}
        _, [request] = await asked("twilio", config, self.ACCOUNT, egress, {"sid": "SM1"})
        assert (request.method, request.path) == ("GET", f"{self.AT}/Messages/SM1.json")
        pages = (
            {"messages": [{"sid": "SM1"}], "next_page_uri": f"{self.AT}/Messages.json?Page=1"},
            {"messages": [{"sid": "SM2"}], "next_page_uri": None},
        )
        config = {"operation": "list_messages", "to": "+491"}
        output, requests = await asked("twilio", config, self.ACCOUNT, egress, *pages)
        assert (output["count"], output["more"]) == (2, False)
        assert [one.path for one in requests] == [
            f"{self.AT}/Messages.json?To=%2B491&PageSize=50", f"{self.AT}/Messages.json?Page=1",
        ]  # fmt: skip
        _, [request] = await asked(
            "twilio", {"operation": "cancel", "sid": "SM1"}, self.ACCOUNT, egress, {"sid": "SM1"}
        )
        assert request.form() == [("Status", "canceled")]

    async def test_an_api_key(self, egress: EgressClient):
        key = {"account_sid": "AC1", "api_key": "SK1", "api_key_secret": "key-secret-1", "base_url": "PEER"}
        config = {"to": "+491", "from": "+1", "body": "x"}
        _, [request] = await asked("twilio", config, key, egress, {"sid": "SM1"})
        assert base64.b64decode(request.headers["authorization"][6:]) == b"SK1:key-secret-1"

    async def test_refusals(self, egress: EgressClient):
        bad = reply(
            400, {"code": 21211, "message": "Invalid 'To' Phone Number: +49", "more_info": "https://…", "status": 400}
        )
        failure = await refused("twilio", {"to": "+49", "body": "x"}, self.ACCOUNT, egress, bad)
        assert failure.error.message == "Twilio answered 400: Invalid 'To' Phone Number: +49."
        assert (failure.error.details["error"], failure.error.retryable) == (21211, False)
        slow = reply(429, {"code": 20429, "message": "Too Many Requests", "status": 429}, {"Retry-After": "3"})
        failure = await refused("twilio", {"to": "+49", "body": "x"}, self.ACCOUNT, egress, slow)
        assert (failure.error.code, failure.retry_after) == ("twilio_rate_limited", 3000)

    async def test_what_is_missing(self, egress: EgressClient):
        assert codes("twilio", {"operation": "call", "to": "+1"}) == [("", "invalid_value")]
        assert (await failing(run("twilio", {"to": "+1", "body": "x"}, egress=egress))).error.code == "no_credential"
        account = {"twilio": {"account_sid": "AC1", "auth_token": "t"}}
        failure = await failing(run("twilio", {"to": "+1", "body": "x"}, egress=egress, credentials=account))
        assert failure.error.code == "invalid_params"
