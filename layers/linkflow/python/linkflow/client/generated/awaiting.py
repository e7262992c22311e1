"""Written by scripts/api_client.py: a method for every operation, for asyncio."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from linkflow.client.calls import UNSET, WORKSPACE, Call, Unset, given

from . import models

Caller = Callable[[Call], Awaitable[Any]]


class Part:
    def __init__(self, call: Caller) -> None:
        self._call = call


class Accounts(Part):
    """Accounts."""

    async def register(
        self, *, first_name: str, last_name: str, email: str, password: str, password_confirmation: str
    ) -> models.AccountsRegisterReply:
        """Make an account, with a first workspace, and sign in. Where addresses have to be verified first, a
        mail is sent, nobody is signed in yet, and the answer does not tell whether there was an account
        already."""
        found: models.AccountsRegisterReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "auth", "register"),
                body=given(
                    first_name=first_name,
                    last_name=last_name,
                    email=email,
                    password=password,
                    password_confirmation=password_confirmation,
                ),
            )
        )
        return found

    async def login(self, *, email: str, password: str, code: str | Unset = UNSET) -> models.AccountsLoginReply:
        """Sign in with e-mail address and password, and `code` where a second factor is set up (401
        `second_factor_required` without)."""
        found: models.AccountsLoginReply = await self._call(
            Call("POST", ("api", "v1", "auth", "login"), body=given(email=email, password=password, code=code))
        )
        return found

    async def refresh(self, *, refresh_token: str) -> models.AccountsRefreshReply:
        """Trade a refresh token for new tokens. Each is good for one use; a second use ends that login
        everywhere."""
        found: models.AccountsRefreshReply = await self._call(
            Call("POST", ("api", "v1", "auth", "refresh"), body=given(refresh_token=refresh_token))
        )
        return found

    async def logout(self, *, idempotency_key: str = "") -> models.AccountsLogoutReply:
        """End this session: its refresh and access tokens are worth nothing any more."""
        found: models.AccountsLogoutReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "auth", "logout"),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def logout_all(self, *, idempotency_key: str = "") -> models.AccountsLogoutAllReply:
        """End all sessions, this one too. API keys stay."""
        found: models.AccountsLogoutAllReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "auth", "logout-all"),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def verify_email(self, *, token: str) -> models.AccountsLogoutReply:
        """Confirm an address by the link in the mail."""
        found: models.AccountsLogoutReply = await self._call(
            Call("POST", ("api", "v1", "auth", "verify-email"), body=given(token=token))
        )
        return found

    async def resend_verification(self, *, email: str) -> models.AccountsLogoutReply:
        """Send the link again. The answer does not tell whether there is such an account."""
        found: models.AccountsLogoutReply = await self._call(
            Call("POST", ("api", "v1", "auth", "resend-verification-email"), body=given(email=email))
        )
        return found

    async def forgot_password(self, *, email: str) -> models.AccountsLogoutReply:
        """Send a link to reset the password. The answer does not tell whether there is such an account."""
        found: models.AccountsLogoutReply = await self._call(
            Call("POST", ("api", "v1", "auth", "forgot-password"), body=given(email=email))
        )
        return found

    async def reset_password(
        self, *, token: str, password: str, password_confirmation: str
    ) -> models.AccountsLogoutReply:
        """Another password, by the link in the mail: once. All sessions are over."""
        found: models.AccountsLogoutReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "auth", "reset-password"),
                body=given(token=token, password=password, password_confirmation=password_confirmation),
            )
        )
        return found

    async def me(self) -> models.AccountsMeReply:
        """Who is signed in."""
        found: models.AccountsMeReply = await self._call(Call("GET", ("api", "v1", "user")))
        return found


class Approvals(Part):
    """Approvals."""

    async def index(
        self,
        *,
        workflow_id: str | Unset = UNSET,
        assignee: str | Unset = UNSET,
        mine: bool | Unset = UNSET,
        q: str | Unset = UNSET,
        due_before: str | datetime | None | Unset = UNSET,
        cursor: str | Unset = UNSET,
        per_page: int | Unset = UNSET,
    ) -> models.ApprovalsIndexReply:
        """A page of the approvals that wait for somebody, the newest runs first: those that ask `assignee`, or
        the caller (`mine`: his address, id and role), with `q` in their title, due before a time."""
        found: models.ApprovalsIndexReply = await self._call(
            Call(
                "GET",
                ("api", "v1", "workspaces", WORKSPACE, "approvals"),
                given(
                    workflow_id=workflow_id,
                    assignee=assignee,
                    mine=mine,
                    q=q,
                    due_before=due_before,
                    cursor=cursor,
                    per_page=per_page,
                ),
            )
        )
        return found

    async def each(
        self,
        *,
        workflow_id: str | Unset = UNSET,
        assignee: str | Unset = UNSET,
        mine: bool | Unset = UNSET,
        q: str | Unset = UNSET,
        due_before: str | datetime | None | Unset = UNSET,
        per_page: int | Unset = UNSET,
    ) -> AsyncIterator[models.ApprovalsIndexData]:
        """Every row of `index`, page by page."""
        cursor: str | None = ""
        while cursor is not None:
            page = await self.index(
                workflow_id=workflow_id,
                assignee=assignee,
                mine=mine,
                q=q,
                due_before=due_before,
                per_page=per_page,
                cursor=cursor,
            )
            for row in page["data"]:
                yield row
            cursor = page["meta"]["next_cursor"]

    async def show(self, approval_id: str) -> models.ApprovalsShowReply:
        """One approval, and what became of it."""
        found: models.ApprovalsShowReply = await self._call(
            Call("GET", ("api", "v1", "workspaces", WORKSPACE, "approvals", approval_id))
        )
        return found

    async def decide(
        self,
        approval_id: str,
        *,
        decision: Literal["approved", "rejected"],
        payload: Any | Unset = UNSET,
        comment: str | Unset = UNSET,
        idempotency_key: str = "",
    ) -> models.ApprovalsDecideReply:
        """Approve or reject. The first decision counts; a later one is a conflict. Takes an Idempotency-Key."""
        found: models.ApprovalsDecideReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "approvals", approval_id, "decision"),
                body=given(decision=decision, payload=payload, comment=comment),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def link(
        self, approval_id: str, *, note: str | Unset = UNSET, idempotency_key: str = ""
    ) -> models.ApprovalsLinkReply:
        """A link by which somebody decides who cannot sign in. For those who may decide themselves. `note`
        says, for the list of links, whom it is for."""
        found: models.ApprovalsLinkReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "approvals", approval_id, "link"),
                body=given(note=note),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def list_links(self, approval_id: str) -> models.ApprovalsListLinksReply:
        """Its links, the newest first, without their addresses. The last one, ``messages``, stands for all
        those in messages of the run."""
        found: models.ApprovalsListLinksReply = await self._call(
            Call("GET", ("api", "v1", "workspaces", WORKSPACE, "approvals", approval_id, "links"))
        )
        return found

    async def revoke_link(self, approval_id: str, link_id: str, *, if_match: str = "") -> models.AccountsLogoutReply:
        """Revoke a link: nobody decides by it any more. ``messages`` are all those in messages, also in later
        ones."""
        found: models.AccountsLogoutReply = await self._call(
            Call(
                "DELETE",
                ("api", "v1", "workspaces", WORKSPACE, "approvals", approval_id, "links", link_id),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found

    async def ask(self, token: str, *, decision: str | Unset = UNSET) -> models.ApprovalsAskReply:
        """What there is to decide, and a form. To open it decides nothing, whoever does it."""
        found: models.ApprovalsAskReply = await self._call(Call("GET", ("approve", token), given(decision=decision)))
        return found

    async def answer(self, token: str) -> models.ApprovalsAnswerReply | None:
        """Decide by a link: ``decision``, ``comment`` and ``name`` as a form; or JSON, then also ``payload``."""
        found: models.ApprovalsAnswerReply | None = await self._call(Call("POST", ("approve", token)))
        return found


class Audit(Part):
    """Audit log."""

    async def index(
        self,
        *,
        actor: str | Unset = UNSET,
        action: str | Unset = UNSET,
        target_id: str | Unset = UNSET,
        after: str | datetime | None | Unset = UNSET,
        before: str | datetime | None | Unset = UNSET,
        cursor: str | Unset = UNSET,
        per_page: int | Unset = UNSET,
    ) -> models.AuditIndexReply:
        """A page of what was changed, newest first: by whom (`actor`: ``user:ID``, ``key:ID``), what
        (`action`), to what (`target_id`), when. `after` is included, `before` is not."""
        found: models.AuditIndexReply = await self._call(
            Call(
                "GET",
                ("api", "v1", "workspaces", WORKSPACE, "audit"),
                given(
                    actor=actor,
                    action=action,
                    target_id=target_id,
                    after=after,
                    before=before,
                    cursor=cursor,
                    per_page=per_page,
                ),
            )
        )
        return found

    async def each(
        self,
        *,
        actor: str | Unset = UNSET,
        action: str | Unset = UNSET,
        target_id: str | Unset = UNSET,
        after: str | datetime | None | Unset = UNSET,
        before: str | datetime | None | Unset = UNSET,
        per_page: int | Unset = UNSET,
    ) -> AsyncIterator[models.AuditIndexData]:
        """Every row of `index`, page by page."""
        cursor: str | None = ""
        while cursor is not None:
            page = await self.index(
                actor=actor,
                action=action,
                target_id=target_id,
                after=after,
                before=before,
                per_page=per_page,
                cursor=cursor,
            )
            for row in page["data"]:
                yield row
            cursor = page["meta"]["next_cursor"]

    async def export(
        self,
        *,
        actor: str | Unset = UNSET,
        action: str | Unset = UNSET,
        target_id: str | Unset = UNSET,
        after: str | datetime | None | Unset = UNSET,
        before: str | datetime | None | Unset = UNSET,
    ) -> bytes:
        """The same as JSON Lines, all of it, newest first."""
        found: bytes = await self._call(
            Call(
                "GET",
                ("api", "v1", "workspaces", WORKSPACE, "audit", "export"),
                given(actor=actor, action=action, target_id=target_id, after=after, before=before),
            )
        )
        return found


class Credentials(Part):
    """Credentials."""

    async def index(
        self, *, type: str | Unset = UNSET, cursor: str | Unset = UNSET, per_page: int | Unset = UNSET
    ) -> models.CredentialsIndexReply:
        """A page of credentials, newest first."""
        found: models.CredentialsIndexReply = await self._call(
            Call(
                "GET",
                ("api", "v1", "workspaces", WORKSPACE, "credentials"),
                given(type=type, cursor=cursor, per_page=per_page),
            )
        )
        return found

    async def each(
        self, *, type: str | Unset = UNSET, per_page: int | Unset = UNSET
    ) -> AsyncIterator[models.CredentialsIndexData]:
        """Every row of `index`, page by page."""
        cursor: str | None = ""
        while cursor is not None:
            page = await self.index(type=type, per_page=per_page, cursor=cursor)
            for row in page["data"]:
                yield row
            cursor = page["meta"]["next_cursor"]

    async def create(
        self,
        *,
        name: str,
        type: str,
        data: Mapping[str, Any] | Unset = UNSET,
        description: str | Unset = UNSET,
        hosts: Sequence[str] | Unset = UNSET,
        roles: Sequence[str] | Unset = UNSET,
        expires_at: str | datetime | None | Unset = UNSET,
        idempotency_key: str = "",
    ) -> models.CredentialsCreateReply:
        """Keep a credential. Its name is unique in the workspace."""
        found: models.CredentialsCreateReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "credentials"),
                body=given(
                    name=name,
                    type=type,
                    data=data,
                    description=description,
                    hosts=hosts,
                    roles=roles,
                    expires_at=expires_at,
                ),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def show(self, credential_id: str) -> models.CredentialsShowReply:
        """One credential, without what is secret."""
        found: models.CredentialsShowReply = await self._call(
            Call("GET", ("api", "v1", "workspaces", WORKSPACE, "credentials", credential_id))
        )
        return found

    async def replace(
        self,
        credential_id: str,
        *,
        name: str,
        type: str,
        data: Mapping[str, Any] | Unset = UNSET,
        description: str | Unset = UNSET,
        hosts: Sequence[str] | Unset = UNSET,
        roles: Sequence[str] | Unset = UNSET,
        expires_at: str | datetime | None | Unset = UNSET,
        if_match: str = "",
    ) -> models.CredentialsReplaceReply:
        """Replace it. Secrets in `data` that are not sent stay."""
        found: models.CredentialsReplaceReply = await self._call(
            Call(
                "PUT",
                ("api", "v1", "workspaces", WORKSPACE, "credentials", credential_id),
                body=given(
                    name=name,
                    type=type,
                    data=data,
                    description=description,
                    hosts=hosts,
                    roles=roles,
                    expires_at=expires_at,
                ),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found

    async def amend(
        self,
        credential_id: str,
        *,
        name: str | None | Unset = UNSET,
        type: str | None | Unset = UNSET,
        data: Mapping[str, Any] | None | Unset = UNSET,
        description: str | None | Unset = UNSET,
        hosts: Sequence[str] | None | Unset = UNSET,
        roles: Sequence[str] | None | Unset = UNSET,
        expires_at: str | datetime | None | Unset = UNSET,
        if_match: str = "",
    ) -> models.CredentialsAmendReply:
        """Change what is sent."""
        found: models.CredentialsAmendReply = await self._call(
            Call(
                "PATCH",
                ("api", "v1", "workspaces", WORKSPACE, "credentials", credential_id),
                body=given(
                    name=name,
                    type=type,
                    data=data,
                    description=description,
                    hosts=hosts,
                    roles=roles,
                    expires_at=expires_at,
                ),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found

    async def delete(self, credential_id: str, *, if_match: str = "") -> models.AccountsLogoutReply:
        """Delete it for good. Nodes that refer to it fail from then on, and say why."""
        found: models.AccountsLogoutReply = await self._call(
            Call(
                "DELETE",
                ("api", "v1", "workspaces", WORKSPACE, "credentials", credential_id),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found

    async def duplicate(
        self, credential_id: str, *, name: str | None | Unset = UNSET, idempotency_key: str = ""
    ) -> models.CredentialsReplaceReply:
        """Make a copy with the same secrets."""
        found: models.CredentialsReplaceReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "credentials", credential_id, "duplicate"),
                body=given(name=name),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def trial(
        self, credential_id: str, *, url: str | Unset = UNSET, idempotency_key: str = ""
    ) -> models.CredentialsTrialReply:
        """Make a light call with it, in a worker. 422 where the other side does not take it."""
        found: models.CredentialsTrialReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "credentials", credential_id, "test"),
                body=given(url=url),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def uses(
        self, credential_id: str, *, cursor: str | Unset = UNSET, per_page: int | Unset = UNSET
    ) -> models.CredentialsUsesReply:
        """Workflows that refer to it in their current version. A page looks through `per_page` workflows of
        the workspace, and has those among them that do."""
        found: models.CredentialsUsesReply = await self._call(
            Call(
                "GET",
                ("api", "v1", "workspaces", WORKSPACE, "credentials", credential_id, "uses"),
                given(cursor=cursor, per_page=per_page),
            )
        )
        return found

    async def each_uses(
        self, credential_id: str, *, per_page: int | Unset = UNSET
    ) -> AsyncIterator[models.CredentialsUsesData]:
        """Every row of `uses`, page by page."""
        cursor: str | None = ""
        while cursor is not None:
            page = await self.uses(credential_id, per_page=per_page, cursor=cursor)
            for row in page["data"]:
                yield row
            cursor = page["meta"]["next_cursor"]

    async def connect(self, credential_id: str, *, idempotency_key: str = "") -> models.CredentialsConnectReply:
        """Begin OAuth 2: open `authorize_url` in a browser within ten minutes. The answer sets a cookie; a
        browser without it is shown a ticket at the end, for `connect/finish`."""
        found: models.CredentialsConnectReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "credentials", credential_id, "connect"),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def finish(
        self, credential_id: str, *, ticket: str, idempotency_key: str = ""
    ) -> models.CredentialsTrialReply:
        """End OAuth 2 with the ticket that the browser shows. Only the one who began can."""
        found: models.CredentialsTrialReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "credentials", credential_id, "connect", "finish"),
                body=given(ticket=ticket),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def kinds(self) -> models.CredentialsKindsReply:
        """Every type of credential, with its fields as JSON Schema; secret ones are `writeOnly`."""
        found: models.CredentialsKindsReply = await self._call(Call("GET", ("api", "v1", "credential-types")))
        return found

    async def kind(self, type: str) -> models.CredentialsKindReply:
        """One type of credential."""
        found: models.CredentialsKindReply = await self._call(Call("GET", ("api", "v1", "credential-types", type)))
        return found


class DeadLetters(Part):
    """Dead letters."""

    async def index(
        self,
        *,
        workflow_id: str | Unset = UNSET,
        execution_id: str | Unset = UNSET,
        queue: str | Unset = UNSET,
        node: str | Unset = UNSET,
        text: str | Unset = UNSET,
        died_after: str | datetime | None | Unset = UNSET,
        died_before: str | datetime | None | Unset = UNSET,
        cursor: str | Unset = UNSET,
        per_page: int | Unset = UNSET,
    ) -> models.DeadLettersIndexReply:
        """A page of dead letters, newest first. With a filter it may have fewer than there are: as long as
        `meta.next_cursor` is there, there may be more."""
        found: models.DeadLettersIndexReply = await self._call(
            Call(
                "GET",
                ("api", "v1", "workspaces", WORKSPACE, "dead-letters"),
                given(
                    workflow_id=workflow_id,
                    execution_id=execution_id,
                    queue=queue,
                    node=node,
                    text=text,
                    died_after=died_after,
                    died_before=died_before,
                    cursor=cursor,
                    per_page=per_page,
                ),
            )
        )
        return found

    async def each(
        self,
        *,
        workflow_id: str | Unset = UNSET,
        execution_id: str | Unset = UNSET,
        queue: str | Unset = UNSET,
        node: str | Unset = UNSET,
        text: str | Unset = UNSET,
        died_after: str | datetime | None | Unset = UNSET,
        died_before: str | datetime | None | Unset = UNSET,
        per_page: int | Unset = UNSET,
    ) -> AsyncIterator[models.DeadLettersIndexData]:
        """Every row of `index`, page by page."""
        cursor: str | None = ""
        while cursor is not None:
            page = await self.index(
                workflow_id=workflow_id,
                execution_id=execution_id,
                queue=queue,
                node=node,
                text=text,
                died_after=died_after,
                died_before=died_before,
                per_page=per_page,
                cursor=cursor,
            )
            for row in page["data"]:
                yield row
            cursor = page["meta"]["next_cursor"]

    async def redrive_many(
        self,
        *,
        workflow_id: str | Unset = UNSET,
        execution_id: str | Unset = UNSET,
        queue: str | Unset = UNSET,
        node: str | Unset = UNSET,
        text: str | Unset = UNSET,
        died_after: str | datetime | None | Unset = UNSET,
        died_before: str | datetime | None | Unset = UNSET,
        limit: int | Unset = UNSET,
        dry_run: bool | Unset = UNSET,
        idempotency_key: str = "",
    ) -> models.DeadLettersRedriveManyReply:
        """Let the runs of all letters that fit go on, worked off in the background as a bulk operation.
        Letters of runs that are not failed stay. Takes an Idempotency-Key."""
        found: models.DeadLettersRedriveManyReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "dead-letters", "redrive"),
                body=given(
                    workflow_id=workflow_id,
                    execution_id=execution_id,
                    queue=queue,
                    node=node,
                    text=text,
                    died_after=died_after,
                    died_before=died_before,
                    limit=limit,
                    dry_run=dry_run,
                ),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def show(self, letter_id: str) -> models.DeadLettersShowReply:
        """One dead letter: which task, why, and when."""
        found: models.DeadLettersShowReply = await self._call(
            Call("GET", ("api", "v1", "workspaces", WORKSPACE, "dead-letters", letter_id))
        )
        return found

    async def drop(self, letter_id: str, *, if_match: str = "") -> models.AccountsLogoutReply:
        """Forget one. Its run stays failed."""
        found: models.AccountsLogoutReply = await self._call(
            Call(
                "DELETE",
                ("api", "v1", "workspaces", WORKSPACE, "dead-letters", letter_id),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found

    async def redrive(self, letter_id: str, *, idempotency_key: str = "") -> models.DeadLettersRedriveReply:
        """Let its run go on: the run's failed nodes get another attempt, and its dead letters are dropped."""
        found: models.DeadLettersRedriveReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "dead-letters", letter_id, "redrive"),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def purge(
        self,
        *,
        workflow_id: str | Unset = UNSET,
        execution_id: str | Unset = UNSET,
        queue: str | Unset = UNSET,
        node: str | Unset = UNSET,
        text: str | Unset = UNSET,
        died_after: str | datetime | None | Unset = UNSET,
        died_before: str | datetime | None | Unset = UNSET,
        idempotency_key: str = "",
    ) -> models.DeadLettersPurgeReply:
        """Forget all of the workspace, or those that fit. Their runs stay failed."""
        found: models.DeadLettersPurgeReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "dead-letters", "purge"),
                body=given(
                    workflow_id=workflow_id,
                    execution_id=execution_id,
                    queue=queue,
                    node=node,
                    text=text,
                    died_after=died_after,
                    died_before=died_before,
                ),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found


class Egress(Part):
    """Egress."""

    async def show(self) -> models.EgressShowReply:
        """What the workspace has set."""
        found: models.EgressShowReply = await self._call(Call("GET", ("api", "v1", "workspaces", WORKSPACE, "egress")))
        return found

    async def update(
        self, *, allow: Sequence[str] | Unset = UNSET, only: Sequence[str] | Unset = UNSET, if_match: str = ""
    ) -> models.EgressUpdateReply:
        """Set it. Workers hold to it within five seconds."""
        found: models.EgressUpdateReply = await self._call(
            Call(
                "PUT",
                ("api", "v1", "workspaces", WORKSPACE, "egress"),
                body=given(allow=allow, only=only),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found


class Exchange(Part):
    """Import and export."""

    async def export(self, workflow_id: str, *, version: int | Unset = UNSET) -> models.ExchangeExportReply:
        """A workflow as a file, with credentials by name; `version` 0 is what runs in production."""
        found: models.ExchangeExportReply = await self._call(
            Call(
                "GET",
                ("api", "v1", "workspaces", WORKSPACE, "workflows", workflow_id, "export"),
                given(version=version),
            )
        )
        return found

    async def export_bulk(
        self,
        *,
        ids: Sequence[str] | None | Unset = UNSET,
        q: str | Unset = UNSET,
        tags: Sequence[str] | Unset = UNSET,
        folder: str | Unset = UNSET,
        below: bool | Unset = UNSET,
        format: Literal["json", "zip"] | Unset = UNSET,
        idempotency_key: str = "",
    ) -> models.ExchangeExportBulkReply:
        """Several in one file, JSON or zip. 207 where some of the ids are no workflows, which are then told."""
        found: models.ExchangeExportBulkReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "workflows", "export-bulk"),
                body=given(ids=ids, q=q, tags=tags, folder=folder, below=below, format=format),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def import_(
        self,
        *,
        on_conflict: Literal["new", "skip", "replace"] | Unset = UNSET,
        dry_run: bool | Unset = UNSET,
        folder_id: str | Unset = UNSET,
        idempotency_key: str = "",
    ) -> models.ExchangeImportReply:
        """Take workflows in from a file: one, `{workflows: [...]}`, a list, or a zip of such; as the body or a
        form's file."""
        found: models.ExchangeImportReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "workflows", "import"),
                given(on_conflict=on_conflict, dry_run=dry_run, folder_id=folder_id),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def validate(self, document: Mapping[str, Any], *, idempotency_key: str = "") -> models.ExchangeValidateReply:
        """Whether this could be saved: every problem and warning at once, with pointers. Nothing is saved."""
        found: models.ExchangeValidateReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "workflows", "validate"),
                body=document,
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found


class Executions(Part):
    """Executions."""

    async def index(
        self,
        *,
        status: Literal[
            "",
            "queued",
            "collecting",
            "running",
            "cancelling",
            "paused",
            "completed",
            "failed",
            "cancelled",
            "timed_out",
            "terminated",
        ]
        | Unset = UNSET,
        workflow_id: str | Unset = UNSET,
        mode: Literal[
            "",
            "manual",
            "api",
            "webhook",
            "schedule",
            "retry",
            "sub_workflow",
            "error",
            "fork",
            "rerun",
            "test",
            "notification",
        ]
        | Unset = UNSET,
        source_id: str | Unset = UNSET,
        cursor: str | Unset = UNSET,
        per_page: int | Unset = UNSET,
        version: int | Unset = UNSET,
        environment: str | Unset = UNSET,
        error_code: str | Unset = UNSET,
        text: str | Unset = UNSET,
        attribute: Sequence[str] | Unset = UNSET,
        started_after: str | datetime | None | Unset = UNSET,
        started_before: str | datetime | None | Unset = UNSET,
        min_duration: float | None | Unset = UNSET,
        max_duration: float | None | Unset = UNSET,
    ) -> models.ExecutionsIndexReply:
        """A page of runs, newest first; with `source_id` only what was made from that one."""
        found: models.ExecutionsIndexReply = await self._call(
            Call(
                "GET",
                ("api", "v1", "workspaces", WORKSPACE, "executions"),
                given(
                    status=status,
                    workflow_id=workflow_id,
                    mode=mode,
                    source_id=source_id,
                    cursor=cursor,
                    per_page=per_page,
                    version=version,
                    environment=environment,
                    error_code=error_code,
                    text=text,
                    attribute=attribute,
                    started_after=started_after,
                    started_before=started_before,
                    min_duration=min_duration,
                    max_duration=max_duration,
                ),
            )
        )
        return found

    async def each(
        self,
        *,
        status: Literal[
            "",
            "queued",
            "collecting",
            "running",
            "cancelling",
            "paused",
            "completed",
            "failed",
            "cancelled",
            "timed_out",
            "terminated",
        ]
        | Unset = UNSET,
        workflow_id: str | Unset = UNSET,
        mode: Literal[
            "",
            "manual",
            "api",
            "webhook",
            "schedule",
            "retry",
            "sub_workflow",
            "error",
            "fork",
            "rerun",
            "test",
            "notification",
        ]
        | Unset = UNSET,
        source_id: str | Unset = UNSET,
        per_page: int | Unset = UNSET,
        version: int | Unset = UNSET,
        environment: str | Unset = UNSET,
        error_code: str | Unset = UNSET,
        text: str | Unset = UNSET,
        attribute: Sequence[str] | Unset = UNSET,
        started_after: str | datetime | None | Unset = UNSET,
        started_before: str | datetime | None | Unset = UNSET,
        min_duration: float | None | Unset = UNSET,
        max_duration: float | None | Unset = UNSET,
    ) -> AsyncIterator[models.ExecutionsIndexData]:
        """Every row of `index`, page by page."""
        cursor: str | None = ""
        while cursor is not None:
            page = await self.index(
                status=status,
                workflow_id=workflow_id,
                mode=mode,
                source_id=source_id,
                per_page=per_page,
                version=version,
                environment=environment,
                error_code=error_code,
                text=text,
                attribute=attribute,
                started_after=started_after,
                started_before=started_before,
                min_duration=min_duration,
                max_duration=max_duration,
                cursor=cursor,
            )
            for row in page["data"]:
                yield row
            cursor = page["meta"]["next_cursor"]

    async def of_workflow(
        self,
        workflow_id: str,
        *,
        status: Literal[
            "",
            "queued",
            "collecting",
            "running",
            "cancelling",
            "paused",
            "completed",
            "failed",
            "cancelled",
            "timed_out",
            "terminated",
        ]
        | Unset = UNSET,
        mode: Literal[
            "",
            "manual",
            "api",
            "webhook",
            "schedule",
            "retry",
            "sub_workflow",
            "error",
            "fork",
            "rerun",
            "test",
            "notification",
        ]
        | Unset = UNSET,
        cursor: str | Unset = UNSET,
        per_page: int | Unset = UNSET,
        version: int | Unset = UNSET,
        environment: str | Unset = UNSET,
        error_code: str | Unset = UNSET,
        text: str | Unset = UNSET,
        attribute: Sequence[str] | Unset = UNSET,
        started_after: str | datetime | None | Unset = UNSET,
        started_before: str | datetime | None | Unset = UNSET,
        min_duration: float | None | Unset = UNSET,
        max_duration: float | None | Unset = UNSET,
    ) -> models.ExecutionsOfWorkflowReply:
        """A page of one workflow's runs, newest first. Filters are those of all runs."""
        found: models.ExecutionsOfWorkflowReply = await self._call(
            Call(
                "GET",
                ("api", "v1", "workspaces", WORKSPACE, "workflows", workflow_id, "executions"),
                given(
                    status=status,
                    mode=mode,
                    cursor=cursor,
                    per_page=per_page,
                    version=version,
                    environment=environment,
                    error_code=error_code,
                    text=text,
                    attribute=attribute,
                    started_after=started_after,
                    started_before=started_before,
                    min_duration=min_duration,
                    max_duration=max_duration,
                ),
            )
        )
        return found

    async def each_of_workflow(
        self,
        workflow_id: str,
        *,
        status: Literal[
            "",
            "queued",
            "collecting",
            "running",
            "cancelling",
            "paused",
            "completed",
            "failed",
            "cancelled",
            "timed_out",
            "terminated",
        ]
        | Unset = UNSET,
        mode: Literal[
            "",
            "manual",
            "api",
            "webhook",
            "schedule",
            "retry",
            "sub_workflow",
            "error",
            "fork",
            "rerun",
            "test",
            "notification",
        ]
        | Unset = UNSET,
        per_page: int | Unset = UNSET,
        version: int | Unset = UNSET,
        environment: str | Unset = UNSET,
        error_code: str | Unset = UNSET,
        text: str | Unset = UNSET,
        attribute: Sequence[str] | Unset = UNSET,
        started_after: str | datetime | None | Unset = UNSET,
        started_before: str | datetime | None | Unset = UNSET,
        min_duration: float | None | Unset = UNSET,
        max_duration: float | None | Unset = UNSET,
    ) -> AsyncIterator[models.ExecutionsOfWorkflowData]:
        """Every row of `of_workflow`, page by page."""
        cursor: str | None = ""
        while cursor is not None:
            page = await self.of_workflow(
                workflow_id,
                status=status,
                mode=mode,
                per_page=per_page,
                version=version,
                environment=environment,
                error_code=error_code,
                text=text,
                attribute=attribute,
                started_after=started_after,
                started_before=started_before,
                min_duration=min_duration,
                max_duration=max_duration,
                cursor=cursor,
            )
            for row in page["data"]:
                yield row
            cursor = page["meta"]["next_cursor"]

    async def show(self, execution_id: str) -> models.ExecutionsShowReply:
        """A run with its trigger data, result or error, and where its nodes stand."""
        found: models.ExecutionsShowReply = await self._call(
            Call("GET", ("api", "v1", "workspaces", WORKSPACE, "executions", execution_id))
        )
        return found

    async def delete(self, execution_id: str, *, if_match: str = "") -> models.AccountsLogoutReply:
        """Delete a run that is over, for good: its row, its events, its payloads."""
        found: models.AccountsLogoutReply = await self._call(
            Call(
                "DELETE",
                ("api", "v1", "workspaces", WORKSPACE, "executions", execution_id),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found

    async def history(
        self, execution_id: str, *, after: int | Unset = UNSET, limit: int | Unset = UNSET, wait: float | Unset = UNSET
    ) -> models.ExecutionsHistoryReply:
        """Events after an id. With `wait`, a run that goes on is waited for: so many seconds, until there is
        one."""
        found: models.ExecutionsHistoryReply = await self._call(
            Call(
                "GET",
                ("api", "v1", "workspaces", WORKSPACE, "executions", execution_id, "history"),
                given(after=after, limit=limit, wait=wait),
            )
        )
        return found

    async def nodes(
        self,
        execution_id: str,
        *,
        cursor: str | Unset = UNSET,
        per_page: int | Unset = UNSET,
        inline: int | Unset = UNSET,
    ) -> models.ExecutionsNodesReply:
        """Its node runs in the order in which they came up: input, output, error, times. Loops have one an
        iteration."""
        found: models.ExecutionsNodesReply = await self._call(
            Call(
                "GET",
                ("api", "v1", "workspaces", WORKSPACE, "executions", execution_id, "nodes"),
                given(cursor=cursor, per_page=per_page, inline=inline),
            )
        )
        return found

    async def each_nodes(
        self, execution_id: str, *, per_page: int | Unset = UNSET, inline: int | Unset = UNSET
    ) -> AsyncIterator[models.ExecutionsNodesData]:
        """Every row of `nodes`, page by page."""
        cursor: str | None = ""
        while cursor is not None:
            page = await self.nodes(execution_id, per_page=per_page, inline=inline, cursor=cursor)
            for row in page["data"]:
                yield row
            cursor = page["meta"]["next_cursor"]

    async def blob(self, execution_id: str, name: str, *, at: int | None | Unset = UNSET) -> Any:
        """A payload that was too large to come along where it is linked; with `at`, one item of the list that
        it is. It never changes."""
        found: Any = await self._call(
            Call("GET", ("api", "v1", "workspaces", WORKSPACE, "executions", execution_id, "blobs", name), given(at=at))
        )
        return found

    async def cancel(
        self, execution_id: str, *, reason: str | Unset = UNSET, idempotency_key: str = ""
    ) -> models.ExecutionsCancelReply:
        """End a run: what is under way is cancelled. With clean-up branches it is `cancelling` until they have
        ended."""
        found: models.ExecutionsCancelReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "executions", execution_id, "cancel"),
                body=given(reason=reason),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def terminate(
        self, execution_id: str, *, reason: str | Unset = UNSET, idempotency_key: str = ""
    ) -> models.ExecutionsCancelReply:
        """End a run at once, whatever it is doing."""
        found: models.ExecutionsCancelReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "executions", execution_id, "terminate"),
                body=given(reason=reason),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def retry(
        self, execution_id: str, *, reason: str | Unset = UNSET, idempotency_key: str = ""
    ) -> models.ExecutionsCancelReply:
        """Go on with a failed run: its failed nodes get another attempt."""
        found: models.ExecutionsCancelReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "executions", execution_id, "retry"),
                body=given(reason=reason),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def pause(
        self, execution_id: str, *, reason: str | Unset = UNSET, idempotency_key: str = ""
    ) -> models.ExecutionsCancelReply:
        """Let what runs end, and start nothing further until the run is resumed."""
        found: models.ExecutionsCancelReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "executions", execution_id, "pause"),
                body=given(reason=reason),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def resume(
        self, execution_id: str, *, reason: str | Unset = UNSET, idempotency_key: str = ""
    ) -> models.ExecutionsCancelReply:
        """Go on with a paused run."""
        found: models.ExecutionsCancelReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "executions", execution_id, "resume"),
                body=given(reason=reason),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found


class Exports(Part):
    """Executions."""

    async def events(self, execution_id: str) -> bytes:
        """All events up to now, as JSON Lines: the form of `history`, with `execution_id` before it."""
        found: bytes = await self._call(
            Call("GET", ("api", "v1", "workspaces", WORKSPACE, "executions", execution_id, "events"))
        )
        return found


class Files(Part):
    """Files."""

    async def index(
        self, *, prefix: str | Unset = UNSET, cursor: str | Unset = UNSET, per_page: int | Unset = UNSET
    ) -> models.FilesIndexReply:
        """Files whose paths begin with `prefix`, by path."""
        found: models.FilesIndexReply = await self._call(
            Call(
                "GET",
                ("api", "v1", "workspaces", WORKSPACE, "files"),
                given(prefix=prefix, cursor=cursor, per_page=per_page),
            )
        )
        return found

    async def each(
        self, *, prefix: str | Unset = UNSET, per_page: int | Unset = UNSET
    ) -> AsyncIterator[models.FilesIndexData]:
        """Every row of `index`, page by page."""
        cursor: str | None = ""
        while cursor is not None:
            page = await self.index(prefix=prefix, per_page=per_page, cursor=cursor)
            for row in page["data"]:
                yield row
            cursor = page["meta"]["next_cursor"]

    async def download(self, path: str) -> bytes:
        """A file as it is. It comes as an attachment, whatever its type: nothing in it runs in this place's
        name."""
        found: bytes = await self._call(Call("GET", ("api", "v1", "workspaces", WORKSPACE, "files", path)))
        return found

    async def upload(
        self,
        path: str,
        *,
        content: Any | Unset = UNSET,
        base64: str | Unset = UNSET,
        content_type: str | Unset = UNSET,
        overwrite: bool | Unset = UNSET,
        if_match: str = "",
    ) -> models.FilesUploadReply:
        """Keep a file; one of that path is replaced, unless `overwrite` is false (409). The same content twice
        is once."""
        found: models.FilesUploadReply = await self._call(
            Call(
                "PUT",
                ("api", "v1", "workspaces", WORKSPACE, "files", path),
                body=given(content=content, base64=base64, content_type=content_type, overwrite=overwrite),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found

    async def delete(self, path: str, *, if_match: str = "") -> models.AccountsLogoutReply:
        """Delete a file, for good."""
        found: models.AccountsLogoutReply = await self._call(
            Call(
                "DELETE",
                ("api", "v1", "workspaces", WORKSPACE, "files", path),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found


class Forks(Part):
    """Forks and bulk operations."""

    async def fork(
        self,
        execution_id: str,
        *,
        node: str,
        input: Any | Unset = UNSET,
        version: int | Literal["latest"] | None | Unset = UNSET,
        use_latest_workflow: bool | Unset = UNSET,
        dry_run: bool | Unset = UNSET,
        reason: str | Unset = UNSET,
        idempotency_key: str = "",
    ) -> models.ForksForkReply:
        """A new run that keeps what this one had done, except for a node and all behind it, and goes on from
        there."""
        found: models.ForksForkReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "executions", execution_id, "fork"),
                body=given(
                    input=input,
                    version=version,
                    use_latest_workflow=use_latest_workflow,
                    dry_run=dry_run,
                    reason=reason,
                    node=node,
                ),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def reset(
        self,
        execution_id: str,
        *,
        node: str,
        input: Any | Unset = UNSET,
        version: int | Literal["latest"] | None | Unset = UNSET,
        use_latest_workflow: bool | Unset = UNSET,
        dry_run: bool | Unset = UNSET,
        reason: str | Unset = UNSET,
        idempotency_key: str = "",
    ) -> models.ForksResetReply:
        """Fork, and terminate this run if it is open."""
        found: models.ForksResetReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "executions", execution_id, "reset"),
                body=given(
                    input=input,
                    version=version,
                    use_latest_workflow=use_latest_workflow,
                    dry_run=dry_run,
                    reason=reason,
                    node=node,
                ),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def rerun(
        self,
        execution_id: str,
        *,
        input: Any | Unset = UNSET,
        version: int | Literal["latest"] | None | Unset = UNSET,
        use_latest_workflow: bool | Unset = UNSET,
        dry_run: bool | Unset = UNSET,
        reason: str | Unset = UNSET,
        idempotency_key: str = "",
    ) -> models.ForksRerunReply:
        """A new run with the same trigger data, or with other."""
        found: models.ForksRerunReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "executions", execution_id, "rerun"),
                body=given(
                    input=input,
                    version=version,
                    use_latest_workflow=use_latest_workflow,
                    dry_run=dry_run,
                    reason=reason,
                ),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def rerun_deterministic(
        self,
        execution_id: str,
        *,
        input: Any | Unset = UNSET,
        version: int | Literal["latest"] | None | Unset = UNSET,
        use_latest_workflow: bool | Unset = UNSET,
        dry_run: bool | Unset = UNSET,
        reason: str | Unset = UNSET,
        idempotency_key: str = "",
    ) -> models.ForksResetReply:
        """The original's name for rerun."""
        found: models.ForksResetReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "executions", execution_id, "rerun-deterministic"),
                body=given(
                    input=input,
                    version=version,
                    use_latest_workflow=use_latest_workflow,
                    dry_run=dry_run,
                    reason=reason,
                ),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def begin(
        self,
        *,
        verb: str,
        input: Any | Unset = UNSET,
        version: int | Literal["latest"] | None | Unset = UNSET,
        use_latest_workflow: bool | Unset = UNSET,
        dry_run: bool | Unset = UNSET,
        reason: str | Unset = UNSET,
        filter: Mapping[str, Any] | Unset = UNSET,
        limit: int | Unset = UNSET,
        node: str | Unset = UNSET,
        name: str | Unset = UNSET,
        key: str | Unset = UNSET,
        payload: Any | Unset = UNSET,
        idempotency_key: str = "",
    ) -> models.ForksBeginReply:
        """A verb upon all runs that fit the filter now, worked off in the background. A dry run counts them.
        To delete needs `execution.delete`."""
        found: models.ForksBeginReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "executions", "bulk"),
                body=given(
                    input=input,
                    version=version,
                    use_latest_workflow=use_latest_workflow,
                    dry_run=dry_run,
                    reason=reason,
                    verb=verb,
                    filter=filter,
                    limit=limit,
                    node=node,
                    name=name,
                    key=key,
                    payload=payload,
                ),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def operations(
        self, *, cursor: str | Unset = UNSET, per_page: int | Unset = UNSET
    ) -> models.ForksOperationsReply:
        """A page of bulk operations, newest first."""
        found: models.ForksOperationsReply = await self._call(
            Call(
                "GET",
                ("api", "v1", "workspaces", WORKSPACE, "executions", "bulk"),
                given(cursor=cursor, per_page=per_page),
            )
        )
        return found

    async def each_operations(self, *, per_page: int | Unset = UNSET) -> AsyncIterator[models.ForksOperationsData]:
        """Every row of `operations`, page by page."""
        cursor: str | None = ""
        while cursor is not None:
            page = await self.operations(per_page=per_page, cursor=cursor)
            for row in page["data"]:
                yield row
            cursor = page["meta"]["next_cursor"]

    async def operation(self, bulk_id: str) -> models.ForksOperationReply:
        """A bulk operation and how far it is."""
        found: models.ForksOperationReply = await self._call(
            Call("GET", ("api", "v1", "workspaces", WORKSPACE, "executions", "bulk", bulk_id))
        )
        return found

    async def stop(self, bulk_id: str, *, idempotency_key: str = "") -> models.ForksStopReply:
        """Stop it: runs that it has not come to stay as they are."""
        found: models.ForksStopReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "executions", "bulk", bulk_id, "cancel"),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found


class Gallery(Part):
    """Templates."""

    async def index(self, *, q: str | Unset = UNSET, category: str | Unset = UNSET) -> models.GalleryIndexReply:
        """All templates, or those of a category, or with these words; without their workflows."""
        found: models.GalleryIndexReply = await self._call(
            Call("GET", ("api", "v1", "templates"), given(q=q, category=category))
        )
        return found

    async def categories(self) -> models.GalleryCategoriesReply:
        """The categories, and how many templates are in each."""
        found: models.GalleryCategoriesReply = await self._call(Call("GET", ("api", "v1", "templates", "categories")))
        return found

    async def show(self, slug: str) -> models.GalleryShowReply:
        """A template with its workflow, and an example of what it is started with."""
        found: models.GalleryShowReply = await self._call(Call("GET", ("api", "v1", "templates", slug)))
        return found

    async def use(
        self, slug: str, *, name: str | None | Unset = UNSET, idempotency_key: str = ""
    ) -> models.GalleryUseReply:
        """Make a workflow of it, switched off. Takes an Idempotency-Key."""
        found: models.GalleryUseReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "templates", slug, "use"),
                body=given(name=name),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found


class Health(Part):
    """Health."""

    async def live(self) -> models.HealthLiveReply:
        """The process answers."""
        found: models.HealthLiveReply = await self._call(Call("GET", ("health", "live")))
        return found

    async def ready(self) -> models.HealthReadyReply:
        """Everything that a call needs answers; else 503 names the part that does not. Where one of several
        databases for runs is away the status is `degraded`, and the process ready."""
        found: models.HealthReadyReply = await self._call(Call("GET", ("health", "ready")))
        return found

    async def health(self) -> models.HealthHealthReply:
        """The API answers, and this is its version."""
        found: models.HealthHealthReply = await self._call(Call("GET", ("api", "v1", "health")))
        return found


class Hooks(Part):
    """Webhooks."""

    async def status(self, token: str) -> models.HooksStatusReply | None:
        """How the run went that a webhook's call started: 202 while it goes on, then what the webhook would
        have answered. The address comes with the 202 of the call, and is good for a day."""
        found: models.HooksStatusReply | None = await self._call(Call("GET", ("webhook-runs", token)))
        return found


class Inspecting(Part):
    """Executions."""

    async def node(self, execution_id: str, key: str, *, inline: int | Unset = UNSET) -> models.InspectingNodeReply:
        """One node run. Values larger than `inline` bytes come as previews, with where they are in full."""
        found: models.InspectingNodeReply = await self._call(
            Call(
                "GET",
                ("api", "v1", "workspaces", WORKSPACE, "executions", execution_id, "nodes", key),
                given(inline=inline),
            )
        )
        return found

    async def payload(
        self,
        execution_id: str,
        key: str,
        side: str,
        *,
        pointer: str | Unset = UNSET,
        offset: int | Unset = UNSET,
        limit: int | Unset = UNSET,
    ) -> models.InspectingPayloadReply:
        """A node run's `input` or `output`, a page at a time: items of an array, members of an object,
        characters of a string. `pointer` (a JSON pointer) leads to a part of it."""
        found: models.InspectingPayloadReply = await self._call(
            Call(
                "GET",
                ("api", "v1", "workspaces", WORKSPACE, "executions", execution_id, "nodes", key, side),
                given(pointer=pointer, offset=offset, limit=limit),
            )
        )
        return found

    async def logs(
        self,
        execution_id: str,
        *,
        node: str | Unset = UNSET,
        level: str | Unset = UNSET,
        cursor: str | Unset = UNSET,
        limit: int | Unset = UNSET,
        wait: float | Unset = UNSET,
    ) -> models.InspectingLogsReply:
        """What its nodes have written, and which attempts failed; of at least a level, of one node or of all."""
        found: models.InspectingLogsReply = await self._call(
            Call(
                "GET",
                ("api", "v1", "workspaces", WORKSPACE, "executions", execution_id, "logs"),
                given(node=node, level=level, cursor=cursor, limit=limit, wait=wait),
            )
        )
        return found

    async def timeline(self, execution_id: str) -> models.InspectingTimelineReply:
        """When each node run was queued, ran and waited, attempt by attempt: what a Gantt chart draws."""
        found: models.InspectingTimelineReply = await self._call(
            Call("GET", ("api", "v1", "workspaces", WORKSPACE, "executions", execution_id, "timeline"))
        )
        return found

    async def state(
        self, execution_id: str, *, at: int | Unset = UNSET, inline: int | Unset = UNSET
    ) -> models.InspectingStateReply:
        """The run's state right after event `at` (0: now), folded from its events."""
        found: models.InspectingStateReply = await self._call(
            Call(
                "GET",
                ("api", "v1", "workspaces", WORKSPACE, "executions", execution_id, "state"),
                given(at=at, inline=inline),
            )
        )
        return found

    async def diff(self, execution_id: str, *, with_: str) -> models.InspectingDiffReply:
        """What the run `with` did otherwise than this one: which nodes ran, what they came to, by which way,
        and the results."""
        found: models.InspectingDiffReply = await self._call(
            Call("GET", ("api", "v1", "workspaces", WORKSPACE, "executions", execution_id, "diff"), given(with_=with_))
        )
        return found


class Nodes(Part):
    """Node types."""

    async def index(self) -> models.NodesIndexReply:
        """Every node type, with its parameters as JSON Schema."""
        found: models.NodesIndexReply = await self._call(Call("GET", ("api", "v1", "nodes")))
        return found

    async def show(self, type: str, *, version: int | Unset = UNSET) -> models.NodesShowReply:
        """One node type, by its name or an alias; the newest version, unless one is asked for."""
        found: models.NodesShowReply = await self._call(
            Call("GET", ("api", "v1", "nodes", type), given(version=version))
        )
        return found


class Notifications(Part):
    """Notifications."""

    async def index(self) -> models.NotificationsIndexReply:
        """All rules of the workspace, the oldest first."""
        found: models.NotificationsIndexReply = await self._call(
            Call("GET", ("api", "v1", "workspaces", WORKSPACE, "notifications"))
        )
        return found

    async def create(
        self,
        *,
        name: str,
        events: Sequence[Literal["failed", "timed_out", "dead_letter", "approval", "long_running"]],
        channel: Mapping[str, Any],
        workflow_ids: Sequence[str] | Unset = UNSET,
        every_seconds: int | Unset = UNSET,
        after_seconds: int | Unset = UNSET,
        is_enabled: bool | Unset = UNSET,
        idempotency_key: str = "",
    ) -> models.NotificationsCreateReply:
        """Make a rule. It holds everywhere within five seconds. Takes an Idempotency-Key."""
        found: models.NotificationsCreateReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "notifications"),
                body=given(
                    name=name,
                    events=events,
                    channel=channel,
                    workflow_ids=workflow_ids,
                    every_seconds=every_seconds,
                    after_seconds=after_seconds,
                    is_enabled=is_enabled,
                ),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def show(self, notification_id: str) -> models.NotificationsShowReply:
        """One rule."""
        found: models.NotificationsShowReply = await self._call(
            Call("GET", ("api", "v1", "workspaces", WORKSPACE, "notifications", notification_id))
        )
        return found

    async def update(
        self,
        notification_id: str,
        *,
        name: str,
        events: Sequence[Literal["failed", "timed_out", "dead_letter", "approval", "long_running"]],
        channel: Mapping[str, Any],
        workflow_ids: Sequence[str] | Unset = UNSET,
        every_seconds: int | Unset = UNSET,
        after_seconds: int | Unset = UNSET,
        is_enabled: bool | Unset = UNSET,
        if_match: str = "",
    ) -> models.NotificationsUpdateReply:
        """Replace a rule. With If-Match, 412 if stale."""
        found: models.NotificationsUpdateReply = await self._call(
            Call(
                "PUT",
                ("api", "v1", "workspaces", WORKSPACE, "notifications", notification_id),
                body=given(
                    name=name,
                    events=events,
                    channel=channel,
                    workflow_ids=workflow_ids,
                    every_seconds=every_seconds,
                    after_seconds=after_seconds,
                    is_enabled=is_enabled,
                ),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found

    async def delete(self, notification_id: str, *, if_match: str = "") -> models.AccountsLogoutReply:
        """Delete a rule. What is on its way arrives."""
        found: models.AccountsLogoutReply = await self._call(
            Call(
                "DELETE",
                ("api", "v1", "workspaces", WORKSPACE, "notifications", notification_id),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found

    async def test(self, notification_id: str, *, idempotency_key: str = "") -> models.NotificationsTestReply:
        """Tell now that it is a test, and how that went. What takes longer than some seconds goes on:
        `execution` is the delivery."""
        found: models.NotificationsTestReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "notifications", notification_id, "test"),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found


class Oidc(Part):
    """Sign-in by a provider."""

    async def providers(self) -> models.OidcProvidersReply:
        """By whom one can sign in. Send the browser to `url`."""
        found: models.OidcProvidersReply = await self._call(Call("GET", ("api", "v1", "auth", "providers")))
        return found

    async def exchange(
        self, *, code: str, verifier: str | Unset = UNSET, otp: str | Unset = UNSET
    ) -> models.AccountsLoginReply:
        """Trade the code for a session: once, within two minutes."""
        found: models.AccountsLoginReply = await self._call(
            Call("POST", ("api", "v1", "auth", "oidc", "exchange"), body=given(code=code, verifier=verifier, otp=otp))
        )
        return found

    async def identities(self) -> models.OidcIdentitiesReply:
        """One's accounts at providers."""
        found: models.OidcIdentitiesReply = await self._call(Call("GET", ("api", "v1", "user", "identities")))
        return found

    async def link(
        self, provider: str, *, redirect: str | Unset = UNSET, idempotency_key: str = ""
    ) -> models.OidcLinkReply:
        """Link an account at a provider: send the browser to `url`."""
        found: models.OidcLinkReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "user", "identities", provider),
                given(redirect=redirect),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def unlink(self, provider: str, *, if_match: str = "") -> models.AccountsLogoutReply:
        """Not by that account any more. Refused (409) where nothing would be left to sign in by."""
        found: models.AccountsLogoutReply = await self._call(
            Call(
                "DELETE",
                ("api", "v1", "user", "identities", provider),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found


class Policies(Part):
    """Policy."""

    async def show(self) -> models.PoliciesShowReply:
        """What the workspace's workflows may do."""
        found: models.PoliciesShowReply = await self._call(
            Call("GET", ("api", "v1", "workspaces", WORKSPACE, "policy"))
        )
        return found

    async def update(
        self,
        *,
        allowed_nodes: Sequence[str] | Unset = UNSET,
        denied_nodes: Sequence[str] | Unset = UNSET,
        allowed_hosts: Sequence[str] | Unset = UNSET,
        denied_hosts: Sequence[str] | Unset = UNSET,
        allowed_models: Sequence[str] | Unset = UNSET,
        denied_models: Sequence[str] | Unset = UNSET,
        max_nodes: int | Unset = UNSET,
        max_concurrent_runs: int | Unset = UNSET,
        max_payload: int | Unset = UNSET,
        max_cost_per_run: float | Unset = UNSET,
        if_match: str = "",
    ) -> models.PoliciesUpdateReply:
        """Set it. It holds for what is saved and published from now on, and within five seconds for what runs."""
        found: models.PoliciesUpdateReply = await self._call(
            Call(
                "PUT",
                ("api", "v1", "workspaces", WORKSPACE, "policy"),
                body=given(
                    allowed_nodes=allowed_nodes,
                    denied_nodes=denied_nodes,
                    allowed_hosts=allowed_hosts,
                    denied_hosts=denied_hosts,
                    allowed_models=allowed_models,
                    denied_models=denied_models,
                    max_nodes=max_nodes,
                    max_concurrent_runs=max_concurrent_runs,
                    max_payload=max_payload,
                    max_cost_per_run=max_cost_per_run,
                ),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found


class Queues(Part):
    """Queues."""

    async def index(self) -> models.QueuesIndexReply:
        """The queues that the workspace uses or has limits for, and the default one."""
        found: models.QueuesIndexReply = await self._call(Call("GET", ("api", "v1", "workspaces", WORKSPACE, "queues")))
        return found

    async def show(self, queue: str) -> models.QueuesShowReply:
        """One queue. It need not be in use: queues begin with their first task."""
        found: models.QueuesShowReply = await self._call(
            Call("GET", ("api", "v1", "workspaces", WORKSPACE, "queues", queue))
        )
        return found

    async def limit(
        self,
        queue: str,
        *,
        rate: float | Unset = UNSET,
        burst: int | Unset = UNSET,
        keys: Mapping[str, Any] | Unset = UNSET,
        if_match: str = "",
    ) -> models.QueuesLimitReply:
        """Set the limits of the workspace's own tasks in a queue. Where the operator has set a lower rate,
        that holds."""
        found: models.QueuesLimitReply = await self._call(
            Call(
                "PUT",
                ("api", "v1", "workspaces", WORKSPACE, "queues", queue),
                body=given(rate=rate, burst=burst, keys=keys),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found


class Releases(Part):
    """Releases."""

    async def draft(self, workflow_id: str) -> models.ReleasesDraftReply:
        """Work on it that runs nowhere yet, with all that keeps it from running. The ETag goes into If-Match."""
        found: models.ReleasesDraftReply = await self._call(
            Call("GET", ("api", "v1", "workspaces", WORKSPACE, "workflows", workflow_id, "draft"))
        )
        return found

    async def save_draft(
        self, workflow_id: str, document: Mapping[str, Any], *, if_match: str = ""
    ) -> models.ReleasesSaveDraftReply:
        """Keep work without touching what runs. It may have problems, which come back. If-Match "0": there is
        none yet."""
        found: models.ReleasesSaveDraftReply = await self._call(
            Call(
                "PUT",
                ("api", "v1", "workspaces", WORKSPACE, "workflows", workflow_id, "draft"),
                body=document,
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found

    async def drop_draft(self, workflow_id: str, *, if_match: str = "") -> models.AccountsLogoutReply:
        """Drop it."""
        found: models.AccountsLogoutReply = await self._call(
            Call(
                "DELETE",
                ("api", "v1", "workspaces", WORKSPACE, "workflows", workflow_id, "draft"),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found

    async def publish(
        self,
        workflow_id: str,
        *,
        summary: str | Unset = UNSET,
        version: int | None | Unset = UNSET,
        environment: str | Unset = UNSET,
        idempotency_key: str = "",
    ) -> models.ReleasesPublishReply:
        """Let the draft, the newest or an earlier version run in an environment, from now on and all at once."""
        found: models.ReleasesPublishReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "workflows", workflow_id, "publish"),
                body=given(summary=summary, version=version, environment=environment),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def add_version(
        self,
        workflow_id: str,
        *,
        summary: str | Unset = UNSET,
        definition: Mapping[str, Any] | None | Unset = UNSET,
        idempotency_key: str = "",
    ) -> models.ReleasesAddVersionReply:
        """Make a version of the draft, or of a document, that runs nowhere yet. Takes an Idempotency-Key."""
        found: models.ReleasesAddVersionReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "workflows", workflow_id, "versions"),
                body=given(summary=summary, definition=definition),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def compare(
        self, workflow_id: str, *, from_version: str, to_version: str | Unset = UNSET
    ) -> models.ReleasesCompareReply:
        """What is different from one version to another: by field, and as text. Each is a number, `current`
        (what runs in production), `latest`, `draft`, or an environment's name."""
        found: models.ReleasesCompareReply = await self._call(
            Call(
                "GET",
                ("api", "v1", "workspaces", WORKSPACE, "workflows", workflow_id, "versions", "compare"),
                given(from_version=from_version, to_version=to_version),
            )
        )
        return found

    async def publish_version(
        self,
        workflow_id: str,
        version: str | int,
        *,
        summary: str | Unset = UNSET,
        environment: str | Unset = UNSET,
        idempotency_key: str = "",
    ) -> models.ReleasesPublishReply:
        """Let this version run in an environment."""
        found: models.ReleasesPublishReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "workflows", workflow_id, "versions", str(version), "publish"),
                body=given(summary=summary, environment=environment),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def restore(
        self, workflow_id: str, version: str | int, *, idempotency_key: str = ""
    ) -> models.ReleasesPublishReply:
        """Bring an earlier version back into production, as a new one. A draft is kept as a version first."""
        found: models.ReleasesPublishReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "workflows", workflow_id, "versions", str(version), "restore"),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def running(self, workflow_id: str) -> models.ReleasesRunningReply:
        """What of it runs in which environment, and since which release."""
        found: models.ReleasesRunningReply = await self._call(
            Call("GET", ("api", "v1", "workspaces", WORKSPACE, "workflows", workflow_id, "environments"))
        )
        return found

    async def promote(
        self,
        workflow_id: str,
        *,
        from_: str,
        to: str,
        version: int | None | Unset = UNSET,
        note: str | Unset = UNSET,
        activate: bool | None | Unset = UNSET,
        idempotency_key: str = "",
    ) -> models.ReleasesPromoteReply:
        """Let what runs in one environment run in another one, its webhooks and schedules included, all at
        once. Runs under way keep their version. Takes an Idempotency-Key."""
        found: models.ReleasesPromoteReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "workflows", workflow_id, "environments", "promote"),
                body=given(from_=from_, to=to, version=version, note=note, activate=activate),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def rollback(
        self,
        workflow_id: str,
        *,
        environment: str | Unset = UNSET,
        release: int | None | Unset = UNSET,
        note: str | Unset = UNSET,
        idempotency_key: str = "",
    ) -> models.ReleasesRollbackReply:
        """Let the version of the release before run again, or that of a given release. Takes an Idempotency-
        Key."""
        found: models.ReleasesRollbackReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "workflows", workflow_id, "environments", "rollback"),
                body=given(environment=environment, release=release, note=note),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def releases(
        self,
        workflow_id: str,
        *,
        environment: str | Unset = UNSET,
        cursor: str | Unset = UNSET,
        per_page: int | Unset = UNSET,
    ) -> models.ReleasesReleasesReply:
        """A page of its releases, newest first, in one environment or in all."""
        found: models.ReleasesReleasesReply = await self._call(
            Call(
                "GET",
                ("api", "v1", "workspaces", WORKSPACE, "workflows", workflow_id, "environments", "releases"),
                given(environment=environment, cursor=cursor, per_page=per_page),
            )
        )
        return found

    async def each_releases(
        self, workflow_id: str, *, environment: str | Unset = UNSET, per_page: int | Unset = UNSET
    ) -> AsyncIterator[models.ReleasesPromoteRelease]:
        """Every row of `releases`, page by page."""
        cursor: str | None = ""
        while cursor is not None:
            page = await self.releases(workflow_id, environment=environment, per_page=per_page, cursor=cursor)
            for row in page["data"]:
                yield row
            cursor = page["meta"]["next_cursor"]

    async def environments(self) -> models.ReleasesEnvironmentsReply:
        """The workspace's environments, production first."""
        found: models.ReleasesEnvironmentsReply = await self._call(
            Call("GET", ("api", "v1", "workspaces", WORKSPACE, "environments"))
        )
        return found

    async def add_environment(
        self, *, name: str, description: str | Unset = UNSET, is_active: bool | Unset = UNSET, idempotency_key: str = ""
    ) -> models.ReleasesAddEnvironmentReply:
        """Make one. Takes an Idempotency-Key."""
        found: models.ReleasesAddEnvironmentReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "environments"),
                body=given(name=name, description=description, is_active=is_active),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def environment(self, environment: str) -> models.ReleasesEnvironmentReply:
        """One of them."""
        found: models.ReleasesEnvironmentReply = await self._call(
            Call("GET", ("api", "v1", "workspaces", WORKSPACE, "environments", environment))
        )
        return found

    async def change_environment(
        self,
        environment: str,
        *,
        description: str | None | Unset = UNSET,
        is_active: bool | None | Unset = UNSET,
        if_match: str = "",
    ) -> models.ReleasesAddEnvironmentReply:
        """Describe it anew, or switch it off: then nothing starts in it, and its triggers stay off until each
        workflow is activated there again."""
        found: models.ReleasesAddEnvironmentReply = await self._call(
            Call(
                "PATCH",
                ("api", "v1", "workspaces", WORKSPACE, "environments", environment),
                body=given(description=description, is_active=is_active),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found

    async def drop_environment(self, environment: str, *, if_match: str = "") -> models.AccountsLogoutReply:
        """Drop it, with its webhooks and schedules. Runs under way go on."""
        found: models.AccountsLogoutReply = await self._call(
            Call(
                "DELETE",
                ("api", "v1", "workspaces", WORKSPACE, "environments", environment),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found


class Retention(Part):
    """Executions."""

    async def show(self) -> models.RetentionShowReply:
        """What the workspace has set, and what holds where it says nothing (`unset_days`; 0: for ever)."""
        found: models.RetentionShowReply = await self._call(
            Call("GET", ("api", "v1", "workspaces", WORKSPACE, "retention"))
        )
        return found

    async def update(
        self, *, days: int | None | Unset = UNSET, workflows: Mapping[str, Any] | Unset = UNSET, if_match: str = ""
    ) -> models.RetentionUpdateReply:
        """Set it. Upkeep goes by it from its next pass on, within the hour."""
        found: models.RetentionUpdateReply = await self._call(
            Call(
                "PUT",
                ("api", "v1", "workspaces", WORKSPACE, "retention"),
                body=given(days=days, workflows=workflows),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found


class Schedules(Part):
    """Schedules."""

    async def index(
        self, *, workflow_id: str | Unset = UNSET, cursor: str | Unset = UNSET, per_page: int | Unset = UNSET
    ) -> models.SchedulesIndexReply:
        """A page of schedules."""
        found: models.SchedulesIndexReply = await self._call(
            Call(
                "GET",
                ("api", "v1", "workspaces", WORKSPACE, "schedules"),
                given(workflow_id=workflow_id, cursor=cursor, per_page=per_page),
            )
        )
        return found

    async def each(
        self, *, workflow_id: str | Unset = UNSET, per_page: int | Unset = UNSET
    ) -> AsyncIterator[models.SchedulesIndexData]:
        """Every row of `index`, page by page."""
        cursor: str | None = ""
        while cursor is not None:
            page = await self.index(workflow_id=workflow_id, per_page=per_page, cursor=cursor)
            for row in page["data"]:
                yield row
            cursor = page["meta"]["next_cursor"]

    async def create(
        self, *, workflow_id: str, config: Mapping[str, Any], name: str | Unset = UNSET, idempotency_key: str = ""
    ) -> models.SchedulesCreateReply:
        """A schedule more for a workflow: a trigger node that leads where the others lead, in a new version of
        it."""
        found: models.SchedulesCreateReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "schedules"),
                body=given(workflow_id=workflow_id, config=config, name=name),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def update(
        self, schedule_id: str, *, config: Mapping[str, Any], if_match: str = ""
    ) -> models.SchedulesUpdateReply:
        """Other settings of its trigger node; null takes one away, and another way of saying when takes the
        place of the one before. It is a new version of the workflow."""
        found: models.SchedulesUpdateReply = await self._call(
            Call(
                "PATCH",
                ("api", "v1", "workspaces", WORKSPACE, "schedules", schedule_id),
                body=given(config=config),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found

    async def delete(self, schedule_id: str, *, if_match: str = "") -> models.AccountsLogoutReply:
        """Take the trigger node away. Runs that it has started go on."""
        found: models.AccountsLogoutReply = await self._call(
            Call(
                "DELETE",
                ("api", "v1", "workspaces", WORKSPACE, "schedules", schedule_id),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found

    async def show(self, schedule_id: str) -> models.SchedulesShowReply:
        """One schedule."""
        found: models.SchedulesShowReply = await self._call(
            Call("GET", ("api", "v1", "workspaces", WORKSPACE, "schedules", schedule_id))
        )
        return found

    async def preview_draft(
        self,
        *,
        config: Mapping[str, Any],
        timezone: str | Unset = UNSET,
        count: int | Unset = UNSET,
        idempotency_key: str = "",
    ) -> models.SchedulesPreviewDraftReply:
        """The next fires of a trigger that is not saved yet. Every problem of its config is answered at once."""
        found: models.SchedulesPreviewDraftReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "schedules", "preview"),
                body=given(config=config, timezone=timezone, count=count),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def preview(
        self, schedule_id: str, *, count: int | Unset = UNSET, after: str | datetime | None | Unset = UNSET
    ) -> models.SchedulesPreviewDraftReply:
        """Its next fires, from now or another time on, in UTC and on its own clock. Jitter is not in it."""
        found: models.SchedulesPreviewDraftReply = await self._call(
            Call(
                "GET",
                ("api", "v1", "workspaces", WORKSPACE, "schedules", schedule_id, "preview"),
                given(count=count, after=after),
            )
        )
        return found

    async def firings(
        self,
        schedule_id: str,
        *,
        outcome: Literal["", "queued", "starting", "started", "skipped"] | Unset = UNSET,
        cursor: str | Unset = UNSET,
        per_page: int | Unset = UNSET,
    ) -> models.SchedulesFiringsReply:
        """What became of its fires, the latest first: started, waiting, or skipped and why."""
        found: models.SchedulesFiringsReply = await self._call(
            Call(
                "GET",
                ("api", "v1", "workspaces", WORKSPACE, "schedules", schedule_id, "firings"),
                given(outcome=outcome, cursor=cursor, per_page=per_page),
            )
        )
        return found

    async def each_firings(
        self,
        schedule_id: str,
        *,
        outcome: Literal["", "queued", "starting", "started", "skipped"] | Unset = UNSET,
        per_page: int | Unset = UNSET,
    ) -> AsyncIterator[models.SchedulesFiringsData]:
        """Every row of `firings`, page by page."""
        cursor: str | None = ""
        while cursor is not None:
            page = await self.firings(schedule_id, outcome=outcome, per_page=per_page, cursor=cursor)
            for row in page["data"]:
                yield row
            cursor = page["meta"]["next_cursor"]

    async def pause(
        self, schedule_id: str, *, note: str | Unset = UNSET, idempotency_key: str = ""
    ) -> models.SchedulesPauseReply:
        """No fires until it is resumed. Running it now still works."""
        found: models.SchedulesPauseReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "schedules", schedule_id, "pause"),
                body=given(note=note),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def resume(self, schedule_id: str, *, idempotency_key: str = "") -> models.SchedulesCreateReply:
        """Fire again, from now on; what fell due meanwhile is on record as skipped."""
        found: models.SchedulesCreateReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "schedules", schedule_id, "resume"),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def trigger(
        self,
        schedule_id: str,
        *,
        overlap: Literal["", "allow", "skip", "queue_one", "queue_all", "cancel_other", "terminate_other"]
        | Unset = UNSET,
        idempotency_key: str = "",
    ) -> models.SchedulesTriggerReply:
        """Run it now, under its overlap policy or another one. Takes an Idempotency-Key."""
        found: models.SchedulesTriggerReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "schedules", schedule_id, "trigger"),
                body=given(overlap=overlap),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def backfill(
        self,
        schedule_id: str,
        *,
        from_: str | datetime,
        to: str | datetime,
        overlap: Literal["", "allow", "skip", "queue_one", "queue_all", "cancel_other", "terminate_other"]
        | Unset = UNSET,
        idempotency_key: str = "",
    ) -> models.SchedulesBackfillReply:
        """Run it for every fire in a range of time, 1,000 at most. Takes an Idempotency-Key."""
        found: models.SchedulesBackfillReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "schedules", schedule_id, "backfill"),
                body=given(from_=from_, to=to, overlap=overlap),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found


class Shelf(Part):
    """Tags and folders."""

    async def tags(self) -> models.ShelfTagsReply:
        """All tags of the workspace, by name."""
        found: models.ShelfTagsReply = await self._call(Call("GET", ("api", "v1", "workspaces", WORKSPACE, "tags")))
        return found

    async def add_tag(
        self, *, name: str, color: str | Unset = UNSET, idempotency_key: str = ""
    ) -> models.ShelfAddTagReply:
        """Make a tag. Takes an Idempotency-Key."""
        found: models.ShelfAddTagReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "tags"),
                body=given(name=name, color=color),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def change_tag(
        self, tag_id: str, *, name: str | None | Unset = UNSET, color: str | None | Unset = UNSET, if_match: str = ""
    ) -> models.ShelfAddTagReply:
        """Give it another name or colour."""
        found: models.ShelfAddTagReply = await self._call(
            Call(
                "PUT",
                ("api", "v1", "workspaces", WORKSPACE, "tags", tag_id),
                body=given(name=name, color=color),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found

    async def drop_tag(self, tag_id: str, *, if_match: str = "") -> models.AccountsLogoutReply:
        """Delete it; workflows that have it lose it."""
        found: models.AccountsLogoutReply = await self._call(
            Call(
                "DELETE",
                ("api", "v1", "workspaces", WORKSPACE, "tags", tag_id),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found

    async def folders(self) -> models.ShelfFoldersReply:
        """The tree of folders: each before those in it."""
        found: models.ShelfFoldersReply = await self._call(
            Call("GET", ("api", "v1", "workspaces", WORKSPACE, "folders"))
        )
        return found

    async def add_folder(
        self, *, name: str, parent_id: str | None | Unset = UNSET, idempotency_key: str = ""
    ) -> models.ShelfAddFolderReply:
        """Make a folder. Takes an Idempotency-Key."""
        found: models.ShelfAddFolderReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "folders"),
                body=given(name=name, parent_id=parent_id),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def change_folder(
        self,
        folder_id: str,
        *,
        name: str | None | Unset = UNSET,
        parent_id: str | None | Unset = UNSET,
        if_match: str = "",
    ) -> models.ShelfChangeFolderReply:
        """Rename it, or move it with all that is in it."""
        found: models.ShelfChangeFolderReply = await self._call(
            Call(
                "PATCH",
                ("api", "v1", "workspaces", WORKSPACE, "folders", folder_id),
                body=given(name=name, parent_id=parent_id),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found

    async def drop_folder(self, folder_id: str, *, if_match: str = "") -> models.AccountsLogoutReply:
        """Delete it. Folders and workflows in it come into the one above."""
        found: models.AccountsLogoutReply = await self._call(
            Call(
                "DELETE",
                ("api", "v1", "workspaces", WORKSPACE, "folders", folder_id),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found

    async def put_tags(self, workflow_id: str, *, tags: Sequence[str], if_match: str = "") -> models.ShelfPutTagsReply:
        """Say which tags a workflow has."""
        found: models.ShelfPutTagsReply = await self._call(
            Call(
                "PUT",
                ("api", "v1", "workspaces", WORKSPACE, "workflows", workflow_id, "tags"),
                body=given(tags=tags),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found

    async def move(self, workflow_id: str, *, folder_id: str | None, if_match: str = "") -> models.ShelfMoveReply:
        """Put a workflow into a folder, or out of all."""
        found: models.ShelfMoveReply = await self._call(
            Call(
                "PUT",
                ("api", "v1", "workspaces", WORKSPACE, "workflows", workflow_id, "folder"),
                body=given(folder_id=folder_id),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found

    async def lock(
        self, workflow_id: str, *, reason: str | Unset = UNSET, idempotency_key: str = ""
    ) -> models.ShelfLockReply:
        """Nobody changes it, or what of it runs where, until it is unlocked: 423, with who and why. It goes on
        running."""
        found: models.ShelfLockReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "workflows", workflow_id, "lock"),
                body=given(reason=reason),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def unlock(self, workflow_id: str, *, idempotency_key: str = "") -> models.ShelfUnlockReply:
        """For whoever locked it, and those who may delete workflows."""
        found: models.ShelfUnlockReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "workflows", workflow_id, "unlock"),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found


class Streams(Part):
    """Executions."""

    async def changes(self, *, cursor: str | Unset = UNSET, wait: float | Unset = UNSET) -> models.StreamsChangesReply:
        """Runs of the workspace that changed behind a cursor: each transition of each run, as it is committed.
        With `wait` some are waited for, so many seconds."""
        found: models.StreamsChangesReply = await self._call(
            Call(
                "GET", ("api", "v1", "workspaces", WORKSPACE, "executions", "changes"), given(cursor=cursor, wait=wait)
            )
        )
        return found

    async def words(
        self, execution_id: str, *, cursor: str | Unset = UNSET, wait: float | Unset = UNSET
    ) -> models.StreamsWordsReply:
        """What its nodes say while they run behind a cursor, with `wait` as a long poll: parts of texts
        (`text`) as models write them, calls of tools (`tool`). It is kept for ten minutes, and the latest
        thousand pieces of it."""
        found: models.StreamsWordsReply = await self._call(
            Call(
                "GET",
                ("api", "v1", "workspaces", WORKSPACE, "executions", execution_id, "words"),
                given(cursor=cursor, wait=wait),
            )
        )
        return found


class Teams(Part):
    """Teams."""

    async def permissions(self) -> models.TeamsPermissionsReply:
        """Every permission, and which of the built-in roles have it."""
        found: models.TeamsPermissionsReply = await self._call(Call("GET", ("api", "v1", "permissions")))
        return found

    async def roles(self) -> models.TeamsRolesReply:
        """The built-in roles, the most powerful first, and the workspace's own."""
        found: models.TeamsRolesReply = await self._call(Call("GET", ("api", "v1", "workspaces", WORKSPACE, "roles")))
        return found

    async def create_role(
        self, *, name: str, permissions: Sequence[str], idempotency_key: str = ""
    ) -> models.TeamsCreateRoleReply:
        """Make a role. Nobody gives what he has not got himself."""
        found: models.TeamsCreateRoleReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "roles"),
                body=given(name=name, permissions=permissions),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def update_role(
        self, role_id: str, *, name: str, permissions: Sequence[str], if_match: str = ""
    ) -> models.TeamsCreateRoleReply:
        """Change a role, for everybody who has it, at once."""
        found: models.TeamsCreateRoleReply = await self._call(
            Call(
                "PUT",
                ("api", "v1", "workspaces", WORKSPACE, "roles", role_id),
                body=given(name=name, permissions=permissions),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found

    async def delete_role(self, role_id: str, *, if_match: str = "") -> models.AccountsLogoutReply:
        """Delete a role that no member has. Open invitations with it are withdrawn."""
        found: models.AccountsLogoutReply = await self._call(
            Call(
                "DELETE",
                ("api", "v1", "workspaces", WORKSPACE, "roles", role_id),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found

    async def invitations(self) -> models.TeamsInvitationsReply:
        """Open invitations, newest first."""
        found: models.TeamsInvitationsReply = await self._call(
            Call("GET", ("api", "v1", "workspaces", WORKSPACE, "invitations"))
        )
        return found

    async def invite(
        self, *, email: str, role: str | Unset = UNSET, idempotency_key: str = ""
    ) -> models.TeamsInviteReply:
        """Invite an address, with a role up to one's own. An earlier invitation of it is replaced. `url` is
        null unless mails are only kept in a file: then hand it over yourself."""
        found: models.TeamsInviteReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "invitations"),
                body=given(email=email, role=role),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def withdraw(self, invitation_id: str, *, if_match: str = "") -> models.AccountsLogoutReply:
        """Withdraw an invitation."""
        found: models.AccountsLogoutReply = await self._call(
            Call(
                "DELETE",
                ("api", "v1", "workspaces", WORKSPACE, "invitations", invitation_id),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found

    async def show_invitation(self, token: str) -> models.TeamsShowInvitationReply:
        """What whoever has the link may see."""
        found: models.TeamsShowInvitationReply = await self._call(Call("GET", ("api", "v1", "invitations", token)))
        return found

    async def accept(self, token: str, *, idempotency_key: str = "") -> models.TeamsAcceptReply:
        """Become a member, with the address that was invited."""
        found: models.TeamsAcceptReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "invitations", token, "accept"),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def decline(self, token: str) -> models.AccountsLogoutReply:
        """Do without. No account is needed for that."""
        found: models.AccountsLogoutReply = await self._call(
            Call("POST", ("api", "v1", "invitations", token, "decline"))
        )
        return found

    async def keys(self) -> models.TeamsKeysReply:
        """The workspace's own API keys, newest first."""
        found: models.TeamsKeysReply = await self._call(Call("GET", ("api", "v1", "workspaces", WORKSPACE, "keys")))
        return found

    async def create_service_key(
        self,
        *,
        name: str,
        permissions: Sequence[str],
        expires_at: str | datetime | None | Unset = UNSET,
        idempotency_key: str = "",
    ) -> models.TeamsCreateServiceKeyReply:
        """A key that stands for itself, with just these permissions. It is shown this once."""
        found: models.TeamsCreateServiceKeyReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "keys"),
                body=given(name=name, permissions=permissions, expires_at=expires_at),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def delete_service_key(self, key_id: str, *, if_match: str = "") -> models.AccountsLogoutReply:
        """Revoke a key, at once."""
        found: models.AccountsLogoutReply = await self._call(
            Call(
                "DELETE",
                ("api", "v1", "workspaces", WORKSPACE, "keys", key_id),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found

    async def transfer(self, *, user_id: str, idempotency_key: str = "") -> models.AccountsLogoutReply:
        """Make another member the owner, and oneself an admin."""
        found: models.AccountsLogoutReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "transfer"),
                body=given(user_id=user_id),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found


class Trials(Part):
    """Testing."""

    async def try_out(
        self,
        workflow_id: str,
        *,
        input: Any | Unset = UNSET,
        trigger_node: str | Unset = UNSET,
        version: int | Unset = UNSET,
        mocks: Mapping[str, Any] | Unset = UNSET,
        node: str | Unset = UNSET,
        up_to: str | Unset = UNSET,
        from_execution: str | Unset = UNSET,
        skip_delays: bool | Unset = UNSET,
        unmocked: Literal["run", "fail"] | Unset = UNSET,
        allow: Sequence[str] | Unset = UNSET,
        error_workflow: bool | Unset = UNSET,
        limits: bool | Unset = UNSET,
        wait: float | Unset = UNSET,
        idempotency_key: str = "",
    ) -> models.TrialsTryOutReply:
        """Start a test run: the workflow, one node, or what leads to a node, with mocks. Takes an Idempotency-
        Key."""
        found: models.TrialsTryOutReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "workflows", workflow_id, "test"),
                given(wait=wait),
                body=given(
                    input=input,
                    trigger_node=trigger_node,
                    version=version,
                    mocks=mocks,
                    node=node,
                    up_to=up_to,
                    from_execution=from_execution,
                    skip_delays=skip_delays,
                    unmocked=unmocked,
                    allow=allow,
                    error_workflow=error_workflow,
                    limits=limits,
                ),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def pin(
        self,
        workflow_id: str,
        node_id: str,
        *,
        output: Any | Unset = UNSET,
        error: Any | Unset = UNSET,
        execution_id: str | None | Unset = UNSET,
        node: str | Unset = UNSET,
        if_match: str = "",
    ) -> models.TrialsPinReply:
        """Pin an output or an error to a node: manual and test runs use it, runs by other triggers never do."""
        found: models.TrialsPinReply = await self._call(
            Call(
                "PUT",
                ("api", "v1", "workspaces", WORKSPACE, "workflows", workflow_id, "nodes", node_id, "pin"),
                body=given(output=output, error=error, execution_id=execution_id, node=node),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found

    async def unpin(self, workflow_id: str, node_id: str, *, if_match: str = "") -> models.ReleasesPublishReply:
        """Take away what is pinned to a node."""
        found: models.ReleasesPublishReply = await self._call(
            Call(
                "DELETE",
                ("api", "v1", "workspaces", WORKSPACE, "workflows", workflow_id, "nodes", node_id, "pin"),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found

    async def save(
        self,
        execution_id: str,
        *,
        node: Sequence[str] | None | Unset = UNSET,
        ignore: Sequence[str] | None | Unset = UNSET,
        by_id: bool | Unset = UNSET,
    ) -> models.TrialsSaveReply:
        """A closed run as a test for `linkflow test`: input, mocks for the nodes that acted, and what came of
        it. `node` names those whose outputs are expected, `ignore` places that differ from run to run."""
        found: models.TrialsSaveReply = await self._call(
            Call(
                "GET",
                ("api", "v1", "workspaces", WORKSPACE, "executions", execution_id, "test"),
                given(node=node, ignore=ignore, by_id=by_id),
            )
        )
        return found


class Usage(Part):
    """Executions."""

    async def stats(
        self,
        *,
        bucket: Literal["minute", "hour", "day"] | Unset = UNSET,
        from_: str | datetime | None | Unset = UNSET,
        to: str | datetime | None | Unset = UNSET,
        workflow_id: str | Unset = UNSET,
    ) -> models.UsageStatsReply:
        """How runs went, by minute (two days back), hour or day (UTC): how many started and ended, error rate,
        p50 and p95 of how long they took. A run that was retried has ended each time."""
        found: models.UsageStatsReply = await self._call(
            Call(
                "GET",
                ("api", "v1", "workspaces", WORKSPACE, "executions", "stats"),
                given(bucket=bucket, from_=from_, to=to, workflow_id=workflow_id),
            )
        )
        return found

    async def usage(
        self,
        *,
        from_: str | datetime | None | Unset = UNSET,
        to: str | datetime | None | Unset = UNSET,
        workflow_id: str | Unset = UNSET,
    ) -> models.UsageUsageReply:
        """What runs used, by day (UTC): executions, node runs, compute, stored bytes, tokens of language
        models."""
        found: models.UsageUsageReply = await self._call(
            Call(
                "GET",
                ("api", "v1", "workspaces", WORKSPACE, "usage"),
                given(from_=from_, to=to, workflow_id=workflow_id),
            )
        )
        return found


class User(Part):
    """Accounts."""

    async def update(self, *, first_name: str, last_name: str, if_match: str = "") -> models.UserUpdateReply:
        """Change one's name."""
        found: models.UserUpdateReply = await self._call(
            Call(
                "PUT",
                ("api", "v1", "user"),
                body=given(first_name=first_name, last_name=last_name),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found

    async def delete(self, *, password: str | Unset = UNSET, if_match: str = "") -> models.AccountsLogoutReply:
        """Delete one's account. Refused (409) while a workspace would be left without an owner."""
        found: models.AccountsLogoutReply = await self._call(
            Call(
                "DELETE",
                ("api", "v1", "user"),
                body=given(password=password),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found

    async def change_password(
        self,
        *,
        password: str,
        password_confirmation: str,
        current_password: str | Unset = UNSET,
        sign_out_others: bool | Unset = UNSET,
        if_match: str = "",
    ) -> models.AccountsLogoutReply:
        """Another password."""
        found: models.AccountsLogoutReply = await self._call(
            Call(
                "PUT",
                ("api", "v1", "user", "password"),
                body=given(
                    current_password=current_password,
                    password=password,
                    password_confirmation=password_confirmation,
                    sign_out_others=sign_out_others,
                ),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found

    async def sessions(self) -> models.UserSessionsReply:
        """Where one is signed in, the session used last first."""
        found: models.UserSessionsReply = await self._call(Call("GET", ("api", "v1", "user", "sessions")))
        return found

    async def end_sessions(self, *, if_match: str = "") -> models.AccountsLogoutAllReply:
        """End all sessions but this one."""
        found: models.AccountsLogoutAllReply = await self._call(
            Call("DELETE", ("api", "v1", "user", "sessions"), headers={"If-Match": if_match} if if_match else {})
        )
        return found

    async def end_session(self, session_id: str, *, if_match: str = "") -> models.AccountsLogoutReply:
        """End one session."""
        found: models.AccountsLogoutReply = await self._call(
            Call(
                "DELETE",
                ("api", "v1", "user", "sessions", session_id),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found

    async def second_factor(self) -> models.UserSecondFactorReply:
        """Whether a code is asked for when one signs in."""
        found: models.UserSecondFactorReply = await self._call(Call("GET", ("api", "v1", "user", "second-factor")))
        return found

    async def begin_second_factor(
        self, *, password: str | Unset = UNSET, idempotency_key: str = ""
    ) -> models.UserBeginSecondFactorReply:
        """Begin to set up codes by time (TOTP). `uri` goes into a QR code; it counts once `confirm` has seen a
        code."""
        found: models.UserBeginSecondFactorReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "user", "second-factor"),
                body=given(password=password),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def remove_second_factor(
        self, *, password: str | Unset = UNSET, if_match: str = ""
    ) -> models.AccountsLogoutReply:
        """Switch it off."""
        found: models.AccountsLogoutReply = await self._call(
            Call(
                "DELETE",
                ("api", "v1", "user", "second-factor"),
                body=given(password=password),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found

    async def confirm_second_factor(
        self, *, code: str, idempotency_key: str = ""
    ) -> models.UserConfirmSecondFactorReply:
        """Switch it on with a first code. The recovery codes are shown this once."""
        found: models.UserConfirmSecondFactorReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "user", "second-factor", "confirm"),
                body=given(code=code),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def renew_recovery_codes(
        self, *, password: str | Unset = UNSET, idempotency_key: str = ""
    ) -> models.UserRenewRecoveryCodesReply:
        """New recovery codes; the old ones are worth nothing any more."""
        found: models.UserRenewRecoveryCodesReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "user", "second-factor", "recovery-codes"),
                body=given(password=password),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def keys(self) -> models.UserKeysReply:
        """One's own API keys, newest first."""
        found: models.UserKeysReply = await self._call(Call("GET", ("api", "v1", "user", "keys")))
        return found

    async def create_key(
        self,
        *,
        name: str,
        permissions: Sequence[str] | Unset = UNSET,
        workspace_id: str | Unset = UNSET,
        expires_at: str | datetime | None | Unset = UNSET,
        idempotency_key: str = "",
    ) -> models.UserCreateKeyReply:
        """A key that stands for oneself. It is shown this once."""
        found: models.UserCreateKeyReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "user", "keys"),
                body=given(name=name, permissions=permissions, workspace_id=workspace_id, expires_at=expires_at),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def delete_key(self, key_id: str, *, if_match: str = "") -> models.AccountsLogoutReply:
        """Revoke a key, at once."""
        found: models.AccountsLogoutReply = await self._call(
            Call("DELETE", ("api", "v1", "user", "keys", key_id), headers={"If-Match": if_match} if if_match else {})
        )
        return found

    async def activity(
        self,
        *,
        action: str | Unset = UNSET,
        after: str | datetime | None | Unset = UNSET,
        before: str | datetime | None | Unset = UNSET,
        cursor: str | Unset = UNSET,
        per_page: int | Unset = UNSET,
    ) -> models.UserActivityReply:
        """What was done to one's account: sign-ins, failed ones too, passwords, keys; newest first."""
        found: models.UserActivityReply = await self._call(
            Call(
                "GET",
                ("api", "v1", "user", "audit"),
                given(action=action, after=after, before=before, cursor=cursor, per_page=per_page),
            )
        )
        return found

    async def each_activity(
        self,
        *,
        action: str | Unset = UNSET,
        after: str | datetime | None | Unset = UNSET,
        before: str | datetime | None | Unset = UNSET,
        per_page: int | Unset = UNSET,
    ) -> AsyncIterator[models.UserActivityData]:
        """Every row of `activity`, page by page."""
        cursor: str | None = ""
        while cursor is not None:
            page = await self.activity(action=action, after=after, before=before, per_page=per_page, cursor=cursor)
            for row in page["data"]:
                yield row
            cursor = page["meta"]["next_cursor"]

    async def whoami(self) -> models.UserWhoamiReply:
        """By whose right one calls: a session's or a key's, and where it leads."""
        found: models.UserWhoamiReply = await self._call(Call("GET", ("api", "v1", "user", "whoami")))
        return found


class Variables(Part):
    """Variables."""

    async def index(
        self, *, environment: str | None | Unset = UNSET, cursor: str | Unset = UNSET, per_page: int | Unset = UNSET
    ) -> models.VariablesIndexReply:
        """A page of variables, newest first; of one environment ("" are those of all), or every one."""
        found: models.VariablesIndexReply = await self._call(
            Call(
                "GET",
                ("api", "v1", "workspaces", WORKSPACE, "variables"),
                given(environment=environment, cursor=cursor, per_page=per_page),
            )
        )
        return found

    async def each(
        self, *, environment: str | None | Unset = UNSET, per_page: int | Unset = UNSET
    ) -> AsyncIterator[models.VariablesIndexData]:
        """Every row of `index`, page by page."""
        cursor: str | None = ""
        while cursor is not None:
            page = await self.index(environment=environment, per_page=per_page, cursor=cursor)
            for row in page["data"]:
                yield row
            cursor = page["meta"]["next_cursor"]

    async def create(
        self,
        *,
        key: str,
        value: str,
        environment: str | Unset = UNSET,
        secret: bool | Unset = UNSET,
        description: str | Unset = UNSET,
        idempotency_key: str = "",
    ) -> models.VariablesCreateReply:
        """Make a variable. Runs that start from now on have it."""
        found: models.VariablesCreateReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "variables"),
                body=given(key=key, value=value, environment=environment, secret=secret, description=description),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def show(self, variable_id: str) -> models.VariablesShowReply:
        """One variable; of a secret one all but the value."""
        found: models.VariablesShowReply = await self._call(
            Call("GET", ("api", "v1", "workspaces", WORKSPACE, "variables", variable_id))
        )
        return found

    async def replace(
        self,
        variable_id: str,
        *,
        key: str,
        value: str,
        environment: str | Unset = UNSET,
        secret: bool | Unset = UNSET,
        description: str | Unset = UNSET,
        if_match: str = "",
    ) -> models.VariablesCreateReply:
        """Replace it. Runs that have started keep a plain one as it was; a secret one changes for them too."""
        found: models.VariablesCreateReply = await self._call(
            Call(
                "PUT",
                ("api", "v1", "workspaces", WORKSPACE, "variables", variable_id),
                body=given(key=key, value=value, environment=environment, secret=secret, description=description),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found

    async def amend(
        self,
        variable_id: str,
        *,
        key: str | None | Unset = UNSET,
        value: str | None | Unset = UNSET,
        environment: str | None | Unset = UNSET,
        secret: bool | None | Unset = UNSET,
        description: str | None | Unset = UNSET,
        if_match: str = "",
    ) -> models.VariablesCreateReply:
        """Change what is sent."""
        found: models.VariablesCreateReply = await self._call(
            Call(
                "PATCH",
                ("api", "v1", "workspaces", WORKSPACE, "variables", variable_id),
                body=given(key=key, value=value, environment=environment, secret=secret, description=description),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found

    async def delete(self, variable_id: str, *, if_match: str = "") -> models.AccountsLogoutReply:
        """Delete it. Expressions that name it are null from then on."""
        found: models.AccountsLogoutReply = await self._call(
            Call(
                "DELETE",
                ("api", "v1", "workspaces", WORKSPACE, "variables", variable_id),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found


class Waiting(Part):
    """Events."""

    async def publish(
        self,
        name: str,
        *,
        key: str | Unset = UNSET,
        data: Any | Unset = UNSET,
        id: str | Unset = UNSET,
        keep: int | Unset = UNSET,
        idempotency_key: str = "",
    ) -> models.WaitingPublishReply:
        """An event for every run that waits for it; where none does, it is kept for the first that will. With
        an id of its own or an Idempotency-Key, sending it twice is sending it once."""
        found: models.WaitingPublishReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "events", name),
                body=given(key=key, data=data, id=id, keep=keep),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def signal(
        self,
        execution_id: str,
        *,
        name: str,
        key: str | Unset = UNSET,
        payload: Any | Unset = UNSET,
        signal_id: str | Unset = UNSET,
        idempotency_key: str = "",
    ) -> models.WaitingSignalReply:
        """An event for one run, which takes it or keeps it for a later wait. With a signal_id or an
        Idempotency-Key, sending it twice is sending it once."""
        found: models.WaitingSignalReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "executions", execution_id, "signal"),
                body=given(name=name, key=key, payload=payload, signal_id=signal_id),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found


class Webhooks(Part):
    """Webhooks."""

    async def index(
        self, *, workflow_id: str | Unset = UNSET, cursor: str | Unset = UNSET, per_page: int | Unset = UNSET
    ) -> models.WebhooksIndexReply:
        """A page of the workspace's webhooks. They are made with the workflows that have them."""
        found: models.WebhooksIndexReply = await self._call(
            Call(
                "GET",
                ("api", "v1", "workspaces", WORKSPACE, "webhooks"),
                given(workflow_id=workflow_id, cursor=cursor, per_page=per_page),
            )
        )
        return found

    async def each(
        self, *, workflow_id: str | Unset = UNSET, per_page: int | Unset = UNSET
    ) -> AsyncIterator[models.WebhooksIndexData]:
        """Every row of `index`, page by page."""
        cursor: str | None = ""
        while cursor is not None:
            page = await self.index(workflow_id=workflow_id, per_page=per_page, cursor=cursor)
            for row in page["data"]:
                yield row
            cursor = page["meta"]["next_cursor"]

    async def show(self, webhook_id: str) -> models.WebhooksShowReply:
        """One webhook: its address and its rules, without secrets."""
        found: models.WebhooksShowReply = await self._call(
            Call("GET", ("api", "v1", "workspaces", WORKSPACE, "webhooks", webhook_id))
        )
        return found

    async def activate(self, webhook_id: str, *, idempotency_key: str = "") -> models.WebhooksActivateReply:
        """Let calls in again, as far as the workflow is active."""
        found: models.WebhooksActivateReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "webhooks", webhook_id, "activate"),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def deactivate(self, webhook_id: str, *, idempotency_key: str = "") -> models.WebhooksActivateReply:
        """Hold calls back: the address is not found until it is activated, whatever becomes of the workflow."""
        found: models.WebhooksActivateReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "webhooks", webhook_id, "deactivate"),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def rotate(self, webhook_id: str, *, idempotency_key: str = "") -> models.WebhooksActivateReply:
        """A new address. The old one is gone at once."""
        found: models.WebhooksActivateReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "webhooks", webhook_id, "rotate"),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def deliveries(
        self, webhook_id: str, *, cursor: str | Unset = UNSET, per_page: int | Unset = UNSET
    ) -> models.WebhooksDeliveriesReply:
        """What came in, newest first: calls that started a run, with it, and those that were refused, with the
        reason."""
        found: models.WebhooksDeliveriesReply = await self._call(
            Call(
                "GET",
                ("api", "v1", "workspaces", WORKSPACE, "webhooks", webhook_id, "deliveries"),
                given(cursor=cursor, per_page=per_page),
            )
        )
        return found

    async def each_deliveries(
        self, webhook_id: str, *, per_page: int | Unset = UNSET
    ) -> AsyncIterator[models.WebhooksDeliveriesData]:
        """Every row of `deliveries`, page by page."""
        cursor: str | None = ""
        while cursor is not None:
            page = await self.deliveries(webhook_id, per_page=per_page, cursor=cursor)
            for row in page["data"]:
                yield row
            cursor = page["meta"]["next_cursor"]

    async def redeliver(
        self, webhook_id: str, execution_id: str, *, idempotency_key: str = ""
    ) -> models.WebhooksRedeliverReply:
        """Start another run with what this call brought."""
        found: models.WebhooksRedeliverReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "webhooks", webhook_id, "deliveries", execution_id, "redeliver"),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def listen(self, webhook_id: str, *, idempotency_key: str = "") -> models.WebhooksListenReply:
        """Keep the next ten calls of the test address, for ten minutes, instead of starting runs."""
        found: models.WebhooksListenReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "webhooks", webhook_id, "listen"),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def captures(self, webhook_id: str, *, wait: float | Unset = UNSET) -> models.WebhooksCapturesReply:
        """What came to the test address, newest first. `trigger` is what a run would be given: pin it, or
        start a run with it. With `wait`, so many seconds for the first one."""
        found: models.WebhooksCapturesReply = await self._call(
            Call("GET", ("api", "v1", "workspaces", WORKSPACE, "webhooks", webhook_id, "captures"), given(wait=wait))
        )
        return found


class Workflows(Part):
    """Workflows."""

    async def versions(
        self, workflow_id: str, *, cursor: str | Unset = UNSET, per_page: int | Unset = UNSET
    ) -> models.WorkflowsVersionsReply:
        """A page of its versions, newest first."""
        found: models.WorkflowsVersionsReply = await self._call(
            Call(
                "GET",
                ("api", "v1", "workspaces", WORKSPACE, "workflows", workflow_id, "versions"),
                given(cursor=cursor, per_page=per_page),
            )
        )
        return found

    async def each_versions(
        self, workflow_id: str, *, per_page: int | Unset = UNSET
    ) -> AsyncIterator[models.WorkflowsVersionsData]:
        """Every row of `versions`, page by page."""
        cursor: str | None = ""
        while cursor is not None:
            page = await self.versions(workflow_id, per_page=per_page, cursor=cursor)
            for row in page["data"]:
                yield row
            cursor = page["meta"]["next_cursor"]

    async def index(
        self,
        *,
        cursor: str | Unset = UNSET,
        per_page: int | Unset = UNSET,
        active: bool | None | Unset = UNSET,
        locked: bool | None | Unset = UNSET,
        q: str | Unset = UNSET,
        tag: Sequence[str] | Unset = UNSET,
        folder: str | Unset = UNSET,
        below: bool | Unset = UNSET,
        node_type: Sequence[str] | Unset = UNSET,
        sort: Literal["created_at", "-created_at", "updated_at", "-updated_at", "name", "-name"] | Unset = UNSET,
    ) -> models.WorkflowsIndexReply:
        """A page of workflows without their definitions, newest first where `sort` says nothing else."""
        found: models.WorkflowsIndexReply = await self._call(
            Call(
                "GET",
                ("api", "v1", "workspaces", WORKSPACE, "workflows"),
                given(
                    cursor=cursor,
                    per_page=per_page,
                    active=active,
                    locked=locked,
                    q=q,
                    tag=tag,
                    folder=folder,
                    below=below,
                    node_type=node_type,
                    sort=sort,
                ),
            )
        )
        return found

    async def each(
        self,
        *,
        per_page: int | Unset = UNSET,
        active: bool | None | Unset = UNSET,
        locked: bool | None | Unset = UNSET,
        q: str | Unset = UNSET,
        tag: Sequence[str] | Unset = UNSET,
        folder: str | Unset = UNSET,
        below: bool | Unset = UNSET,
        node_type: Sequence[str] | Unset = UNSET,
        sort: Literal["created_at", "-created_at", "updated_at", "-updated_at", "name", "-name"] | Unset = UNSET,
    ) -> AsyncIterator[models.WorkflowsIndexData]:
        """Every row of `index`, page by page."""
        cursor: str | None = ""
        while cursor is not None:
            page = await self.index(
                per_page=per_page,
                active=active,
                locked=locked,
                q=q,
                tag=tag,
                folder=folder,
                below=below,
                node_type=node_type,
                sort=sort,
                cursor=cursor,
            )
            for row in page["data"]:
                yield row
            cursor = page["meta"]["next_cursor"]

    async def create(self, document: Mapping[str, Any], *, idempotency_key: str = "") -> models.WorkflowsCreateReply:
        """Make a workflow. Every problem of the document is answered at once. Takes an Idempotency-Key."""
        found: models.WorkflowsCreateReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "workflows"),
                body=document,
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def show(self, workflow_id: str) -> models.WorkflowsShowReply:
        """A workflow with its current definition. The ETag goes into If-Match."""
        found: models.WorkflowsShowReply = await self._call(
            Call("GET", ("api", "v1", "workspaces", WORKSPACE, "workflows", workflow_id))
        )
        return found

    async def replace(
        self, workflow_id: str, document: Mapping[str, Any], *, summary: str | Unset = UNSET, if_match: str = ""
    ) -> models.WorkflowsReplaceReply:
        """Replace the definition: a new version, if it differs, which runs in production from now on. Runs
        under way keep theirs. With If-Match, 412 if stale. `summary` says what the change is about."""
        found: models.WorkflowsReplaceReply = await self._call(
            Call(
                "PUT",
                ("api", "v1", "workspaces", WORKSPACE, "workflows", workflow_id),
                given(summary=summary),
                body=document,
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found

    async def amend(
        self, workflow_id: str, document: Mapping[str, Any], *, summary: str | Unset = UNSET, if_match: str = ""
    ) -> models.WorkflowsAmendReply:
        """Like PUT, but top-level fields that are not sent stay as they are."""
        found: models.WorkflowsAmendReply = await self._call(
            Call(
                "PATCH",
                ("api", "v1", "workspaces", WORKSPACE, "workflows", workflow_id),
                given(summary=summary),
                body=document,
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found

    async def delete(self, workflow_id: str, *, if_match: str = "") -> models.AccountsLogoutReply:
        """Delete a workflow and switch off what starts it."""
        found: models.AccountsLogoutReply = await self._call(
            Call(
                "DELETE",
                ("api", "v1", "workspaces", WORKSPACE, "workflows", workflow_id),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found

    async def activate(
        self, workflow_id: str, *, environment: str | Unset = UNSET, idempotency_key: str = ""
    ) -> models.WorkflowsActivateReply:
        """Switch its webhooks and schedules on, in production or another environment."""
        found: models.WorkflowsActivateReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "workflows", workflow_id, "activate"),
                given(environment=environment),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def deactivate(
        self, workflow_id: str, *, environment: str | Unset = UNSET, idempotency_key: str = ""
    ) -> models.WorkflowsDeactivateReply:
        """Switch its webhooks and schedules off there. Their addresses stay its own."""
        found: models.WorkflowsDeactivateReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "workflows", workflow_id, "deactivate"),
                given(environment=environment),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def duplicate(
        self, workflow_id: str, *, name: str | None | Unset = UNSET, idempotency_key: str = ""
    ) -> models.WorkflowsDuplicateReply:
        """Make a copy in the same folder and with the same tags, switched off. Takes an Idempotency-Key."""
        found: models.WorkflowsDuplicateReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "workflows", workflow_id, "duplicate"),
                body=given(name=name),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def version(self, workflow_id: str, version: str | int) -> models.WorkflowsVersionReply:
        """One version's definition."""
        found: models.WorkflowsVersionReply = await self._call(
            Call("GET", ("api", "v1", "workspaces", WORKSPACE, "workflows", workflow_id, "versions", str(version)))
        )
        return found

    async def execute(
        self,
        workflow_id: str,
        *,
        input: Mapping[str, Any] | Unset = UNSET,
        on_conflict: Literal["return_existing", "reject", "terminate_existing"] | Unset = UNSET,
        trigger_node: str | Unset = UNSET,
        environment: str | Unset = UNSET,
        wait: float | Unset = UNSET,
        idempotency_key: str = "",
    ) -> models.WorkflowsExecuteReply:
        """Start a run; with `wait`, answer when it ended or after so many seconds."""
        found: models.WorkflowsExecuteReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "workflows", workflow_id, "execute"),
                given(wait=wait),
                body=given(input=input, on_conflict=on_conflict, trigger_node=trigger_node, environment=environment),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found


class Workspaces(Part):
    """Workspaces."""

    async def index(self) -> models.WorkspacesIndexReply:
        """The workspaces that one is a member of."""
        found: models.WorkspacesIndexReply = await self._call(Call("GET", ("api", "v1", "workspaces")))
        return found

    async def create(self, *, name: str, idempotency_key: str = "") -> models.TeamsAcceptReply:
        """Make a workspace and own it."""
        found: models.TeamsAcceptReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces"),
                body=given(name=name),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def show(self) -> models.WorkspacesShowReply:
        """One workspace."""
        found: models.WorkspacesShowReply = await self._call(Call("GET", ("api", "v1", "workspaces", WORKSPACE)))
        return found

    async def update(self, *, name: str, if_match: str = "") -> models.TeamsAcceptReply:
        """Rename a workspace."""
        found: models.TeamsAcceptReply = await self._call(
            Call(
                "PUT",
                ("api", "v1", "workspaces", WORKSPACE),
                body=given(name=name),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found

    async def delete(self, *, if_match: str = "") -> models.WorkspacesDeleteReply:
        """Delete a workspace with everything in it. Nothing in it starts any more, from now on; until
        `restore_until` an owner can restore it, then it is purged."""
        found: models.WorkspacesDeleteReply = await self._call(
            Call("DELETE", ("api", "v1", "workspaces", WORKSPACE), headers={"If-Match": if_match} if if_match else {})
        )
        return found

    async def leave(self, *, idempotency_key: str = "") -> models.AccountsLogoutReply:
        """Stop being a member. The last owner cannot."""
        found: models.AccountsLogoutReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "leave"),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def members(self) -> models.WorkspacesMembersReply:
        """Who is in."""
        found: models.WorkspacesMembersReply = await self._call(
            Call("GET", ("api", "v1", "workspaces", WORKSPACE, "members"))
        )
        return found

    async def add_member(
        self, *, email: str, role: str | Unset = UNSET, idempotency_key: str = ""
    ) -> models.WorkspacesAddMemberReply:
        """Take in somebody who has an account, with a role up to one's own."""
        found: models.WorkspacesAddMemberReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "workspaces", WORKSPACE, "members"),
                body=given(email=email, role=role),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found

    async def set_role(self, user_id: str, *, role: str, if_match: str = "") -> models.WorkspacesAddMemberReply:
        """Change a member's role."""
        found: models.WorkspacesAddMemberReply = await self._call(
            Call(
                "PUT",
                ("api", "v1", "workspaces", WORKSPACE, "members", user_id),
                body=given(role=role),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found

    async def remove_member(self, user_id: str, *, if_match: str = "") -> models.AccountsLogoutReply:
        """Remove a member."""
        found: models.AccountsLogoutReply = await self._call(
            Call(
                "DELETE",
                ("api", "v1", "workspaces", WORKSPACE, "members", user_id),
                headers={"If-Match": if_match} if if_match else {},
            )
        )
        return found

    async def deleted(self) -> models.WorkspacesDeletedReply:
        """Workspaces that one has owned, and can restore; the last one first."""
        found: models.WorkspacesDeletedReply = await self._call(
            Call("GET", ("api", "v1", "user", "deleted-workspaces"))
        )
        return found

    async def restore(self, deleted_id: str, *, idempotency_key: str = "") -> models.WorkspacesRestoreReply:
        """Bring back a workspace with everything that was in it, switched off: activate workflows as you need
        them."""
        found: models.WorkspacesRestoreReply = await self._call(
            Call(
                "POST",
                ("api", "v1", "user", "deleted-workspaces", deleted_id, "restore"),
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
                keyed=True,
            )
        )
        return found


class Parts:
    """All operations, by what they are about."""

    def __init__(self, call: Caller) -> None:
        self.accounts = Accounts(call)
        self.approvals = Approvals(call)
        self.audit = Audit(call)
        self.credentials = Credentials(call)
        self.dead_letters = DeadLetters(call)
        self.egress = Egress(call)
        self.exchange = Exchange(call)
        self.executions = Executions(call)
        self.exports = Exports(call)
        self.files = Files(call)
        self.forks = Forks(call)
        self.gallery = Gallery(call)
        self.health = Health(call)
        self.hooks = Hooks(call)
        self.inspecting = Inspecting(call)
        self.nodes = Nodes(call)
        self.notifications = Notifications(call)
        self.oidc = Oidc(call)
        self.policies = Policies(call)
        self.queues = Queues(call)
        self.releases = Releases(call)
        self.retention = Retention(call)
        self.schedules = Schedules(call)
        self.shelf = Shelf(call)
        self.streams = Streams(call)
        self.teams = Teams(call)
        self.trials = Trials(call)
        self.usage = Usage(call)
        self.user = User(call)
        self.variables = Variables(call)
        self.waiting = Waiting(call)
        self.webhooks = Webhooks(call)
        self.workflows = Workflows(call)
        self.workspaces = Workspaces(call)
