"""GitHub: issues, comments, pull requests, files, workflows, releases. The output is GitHub's object."""

from __future__ import annotations

import builtins
from typing import Any, ClassVar, Literal

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import Call, Example, Fault, Refusal
from linkflow.nodes.base import Base, Context, Params
from linkflow.nodes.fields import Secret, Text, TextList
from linkflow.nodes.json_api import LISTED, faults
from linkflow.nodes.operations import Operated, part
from linkflow.nodes.slots import Slot

FAMILY = "github"
_BY_NUMBER = (
    "get_issue update_issue comment list_comments add_labels remove_label get_pull update_pull merge_pull review"
)
_FILES = "get_file put_file delete_file"
_REPOSITORY = (
    f"create_issue list_issues {_BY_NUMBER} create_pull list_pulls {_FILES} dispatch run_workflow create_release "
    "get_release list_releases get_repository"
)
_LISTS = "list_issues list_comments list_pulls list_releases search_issues"


class GitHubParams(Operated):
    operation: Literal[
        "create_issue", "get_issue", "update_issue", "list_issues", "search_issues", "comment", "list_comments",
        "add_labels", "remove_label", "create_pull", "get_pull", "update_pull", "list_pulls", "merge_pull", "review",
        "get_file", "put_file", "delete_file", "dispatch", "run_workflow", "create_release", "get_release",
        "list_releases", "get_repository", "call",
    ]  # fmt: skip
    repository: Text = part(
        description="owner/name", needed=_REPOSITORY, also="repository repo", pattern=r"^([^/\s]+/[^/\s]+|.*\{\{.*|)$"
    )
    number: Text = part(description="Of the issue or pull request.", needed=_BY_NUMBER, also="number issue_number")
    title: Text = part(needed="create_issue create_pull", of="update_issue update_pull")
    body: Any = part(
        "", "In Markdown; of a call any JSON value.", needed="comment", widget="textarea",
        of="create_issue update_issue create_pull update_pull review create_release call", also="body comment",
    )  # fmt: skip
    labels: TextList = part([], needed="add_labels", of="create_issue update_issue list_issues")
    label: Text = part(needed="remove_label")
    assignees: TextList = part([], of="create_issue update_issue")
    milestone: int | None = part(None, of="create_issue update_issue")
    state: Literal["", "open", "closed", "all"] = part(
        "", "all is for lists.", of="update_issue update_pull list_issues list_pulls"
    )
    state_reason: Literal["", "completed", "not_planned", "reopened"] = part("", of="update_issue")
    query: Text = part(description="As in GitHub's search, such as `is:open label:bug`.", needed="search_issues")
    head: Text = part(description="The branch with the changes.", needed="create_pull", of="list_pulls")
    base: Text = part(description="The branch to change.", needed="create_pull", of="list_pulls update_pull")
    draft: bool = part(False, of="create_pull create_release")
    merge_method: Literal["merge", "squash", "rebase"] = part("merge", of="merge_pull")
    event: Literal["APPROVE", "REQUEST_CHANGES", "COMMENT"] = part("COMMENT", of="review")
    path: Text = part(description="In the repository; of a call such as /user/repos.", needed=f"{_FILES} call")
    content: Text = part(description="The file's text.", of="put_file", widget="textarea")
    content_base64: Text = part(description="The file's bytes, in place of the text.", of="put_file")
    message: Text = part(description="Of the commit. Left out: made from the path.", of="put_file delete_file")
    branch: Text = part(description="Left out: the default branch.", of=_FILES, also="branch ref")
    event_type: Text = part(description="What the repository's workflows listen for.", needed="dispatch")
    payload: dict[str, Any] = part({}, "What they are told.", of="dispatch", also="payload client_payload")
    workflow: Text = part(description="A workflow's file name or id.", needed="run_workflow")
    inputs: dict[str, Text] = part({}, of="run_workflow")
    tag: Text = part(needed="create_release", of="get_release", description="get_release: left out, the latest.")
    name: Text = part(description="The release's title.", of="create_release")
    target: Text = part(description="The commit or branch that is tagged.", of="create_release run_workflow")
    prerelease: bool = part(False, of="create_release")
    generate_notes: bool = part(False, of="create_release")
    limit: int = part(30, of=f"{_LISTS} call", ge=1, le=5000, description="Most items.")
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = part("GET", of="call")
    parameters: dict[str, Any] = part({}, "The query of a call, or of a list.", of=f"{_LISTS} call")
    token: Secret = ""


class GitHub(Base):
    type: ClassVar[str] = "action_github"
    aliases: ClassVar[tuple[str, ...]] = ("github", "integration_github")
    name: ClassVar[str] = "GitHub"
    description: ClassVar[str] = "Issues, comments, pull requests, files, workflows and releases, and any other call."
    category: ClassVar[str] = "action"
    params: ClassVar[builtins.type[Params]] = GitHubParams
    slots = (Slot(FAMILY, ("github",), "A personal access token, or one of an app."),)
    help = """
    The credential's `base_url` is for GitHub Enterprise (`https://HOST/api/v3`). Where GitHub limits the rate, the
    node is tried again as late as it says.

    `put_file` creates a file or changes it, and does nothing where it is as it shall be already, so a retry makes no
    second commit; `delete_file` of a file that is not there is no error on a retry. GitHub knows no idempotency keys:
    an issue or comment whose answer was lost is made again by a retry.

    `get_file` hands on `{text, base64, size, sha, path}`, `text` null for bytes that are no text. Lists hand on
    `{items, count, more}`, and so does `call` where GitHub answers a list; other answers are handed on as they are.
    `dispatch` and `run_workflow` hand on `{ok}`. To close an issue, `update_issue` with `state: closed`.
    """
    produces = {
        "main": {
            "type": ["object", "string", "null"],
            "properties": {
                "number": {"type": "integer"},
                "html_url": {"type": "string"},
                "state": {"type": "string"},
                "id": {"type": "integer"},
                "ok": {"type": "boolean"},
                "text": {"type": ["string", "null"], "description": "get_file."},
                "base64": {"type": "string", "description": "get_file."},
                **LISTED,
            },
        }
    }
    faults = (
        Fault("bad_file", "`content_base64` is no base64."),
        *faults("GitHub", "github", credential="There is no token."),
    )
    examples = (
        Example(
            name="An issue",
            config={
                "operation": "create_issue", "repository": "acme/shop", "title": "Order {{ input.id }} is stuck",
                "labels": "bug,orders",
            },
            input={"id": 7},
            connections={"github": {"token": "ghp_example", "base_url": "http://github.example"}},
            calls=(
                Call(
                    method="POST",
                    url="http://github.example/repos/acme/shop/issues",
                    sends={"Authorization": "Bearer ghp_example", "X-GitHub-Api-Version": "2022-11-28"},
                    body={"title": "Order 7 is stuck", "labels": ["bug", "orders"]},
                    status=201,
                    answer={"number": 12, "state": "open", "html_url": "https://github.com/acme/shop/issues/12"},
                ),
            ),
            output={"number": 12, "state": "open", "html_url": "https://github.com/acme/shop/issues/12"},
        ),
    )  # fmt: skip
    refuses = (
        Refusal({"operation": "comment", "repository": "acme/shop", "body": "x"}, "/number", "missing_field"),
        Refusal({"operation": "get_repository", "repository": "shop"}, "/repository", "invalid_value"),
    )

    async def run(self, params: GitHubParams, context: Context) -> Outcome:
        from linkflow.nodes.github_calls import do

        return Completed(output=await do(params, context))


node = GitHub()
