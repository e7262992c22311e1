from __future__ import annotations

from typing import Any

import pytest

from linkflow.domain.expressions import Scope, compile_expression
from linkflow.domain.outcomes import CallWorkflow, Completed, Iterate, Repeat, Sleep
from linkflow.nodes.base import NodeFailure
from tests.unit.nodes.peers import NOW, codes, run


def ports(outcome: Completed) -> str:
    [port] = outcome.ports
    return port


def failure(type: str, config: dict[str, Any], input: Any = None, **more: Any) -> str:
    with pytest.raises(NodeFailure) as caught:
        run(type, config, input, **more)
    assert not caught.value.error.retryable
    return caught.value.error.code


class TestTriggers:
    def test_the_output_is_what_the_run_was_started_with(self):
        for type, config in (
            ("trigger_manual", {}),
            ("trigger_schedule", {"cron": "* * * * *"}),
            ("trigger_webhook", {}),
        ):
            assert run(type, config, trigger={"a": 1}) == Completed(output={"a": 1})

    def test_a_schedule_needs_a_cron_that_fires(self):
        assert codes("trigger_schedule", {}) == [("/cron", "missing_field")]
        assert codes("trigger_schedule", {"cron": "61 * * * *"}) == [("/cron", "invalid_value")]
        assert codes("trigger_schedule", {"cron": "0 0 31 2 *"}) == [("/cron", "invalid_value")]
        assert codes("trigger_schedule", {"cron": "0 9 * * *", "timezone": "Mars/Base"}) == [
            ("/timezone", "invalid_value")
        ]
        assert codes("trigger_schedule", {"cron": "0 9 * * *", "start_date": "soon"}) == [
            ("/start_date", "invalid_value")
        ]
        good = {"cron": "0 9 * * *", "timezone": "Europe/Berlin", "start_date": "2026-01-01", "end_date": ""}
        assert codes("trigger_schedule", good) == []

    def test_webhook_spellings(self):
        from linkflow.nodes.trigger_webhook import WebhookParams

        flat = WebhookParams.model_validate({"path": "/a/b/", "method": "get", "auth_type": "bearer", "token": "t"})
        assert (flat.path, flat.methods, flat.auth.type, flat.auth.token) == ("a/b", ["GET"], "bearer", "t")
        config = {
            "methods": ["post", "PUT"],
            "auth": {"type": "basic", "username": "u", "password": "p"},
            "mode": "wait",
        }
        nested = WebhookParams.model_validate(config)
        assert (nested.methods, nested.auth.username, nested.response_mode) == (["POST", "PUT"], "u", "wait")
        header = WebhookParams.model_validate({"auth": "header", "header_name": "X-Key", "header_value": "v"})
        assert header.auth.headers() == {"X-Key": "v"}

    def test_webhook_faults(self):
        assert codes("trigger_webhook", {"path": "../x"}) == [("/path", "invalid_value")]
        assert codes("trigger_webhook", {"method": "BREW"}) == [("/method", "invalid_value")]
        assert codes("trigger_webhook", {"auth": {"type": "bearer"}}) == [("/auth", "invalid_value")]
        assert codes("trigger_webhook", {"auth": {"type": "basic", "username": "u"}}) == [("/auth", "invalid_value")]


class TestCondition:
    @pytest.mark.parametrize(
        ("value", "port"),
        [(True, "true"), (1, "true"), ("x", "true"), ([], "true"), ({}, "true"), (False, "false"), (0, "false"),
         ("", "false"), (None, "false"), (float("nan"), "false")],
    )  # fmt: skip
    def test_an_expression_by_javascripts_rule(self, value: Any, port: str):
        outcome = run("condition", {"expression": "whatever"}, {"in": 1}, evaluate=lambda _: value)
        assert outcome.ports == (port,)
        assert outcome.output["input"] == {"in": 1}
        assert (outcome.output["matched"], outcome.output["output"]) == (port == "true", port)

    def test_the_templates_expression(self):
        def evaluate(text: str) -> Any:
            return compile_expression(text).evaluate(Scope(prev={"output": {"status": 200}}))

        outcome = run("condition", {"expression": "{{ $node.prev.output.status }} == 200"}, evaluate=evaluate)
        assert outcome.ports == ("true",)

    def test_one_comparison(self):
        config = {"field": "user.age", "operator": "gte", "value": 18}
        assert ports(run("condition", config, {"user": {"age": 20}})) == "true"
        assert ports(run("condition", config, {"user": {"age": "17"}})) == "false"
        assert ports(run("condition", config, {})) == "false"

    def test_one_comparison_of_an_expression(self):
        config = {"field": "{{ input.state }}", "operator": "eq", "value": "paid"}
        assert ports(run("condition", config, evaluate=lambda _: "paid")) == "true"
        assert ports(run("condition", {"left": "paid", "operator": "==", "right": "paid"})) == "true"

    def test_conditions_without_outputs_are_combined(self):
        rules = [{"field": "a", "operator": "eq", "value": 1}, {"field": "b", "operator": "eq", "value": 2}]
        assert ports(run("condition", {"conditions": rules}, {"a": 1, "b": 2})) == "true"
        assert ports(run("condition", {"conditions": rules}, {"a": 1, "b": 3})) == "false"
        outcome = run("condition", {"conditions": rules, "combine": "or"}, {"a": 0, "b": 2})
        assert ports(outcome) == "true"
        assert outcome.output["matched_rule"] == 1
        assert outcome.output["eval_results"] == [False, True]

    def test_conditions_with_outputs_take_the_first_that_holds(self):
        rules = [
            {"field": "n", "operator": "gt", "value": 100, "output": "big"},
            {"field": "n", "operator": "gt", "value": 10, "output": "medium"},
        ]
        assert ports(run("condition", {"conditions": rules}, {"n": 500})) == "big"
        assert ports(run("condition", {"conditions": rules}, {"n": 50})) == "medium"
        assert ports(run("condition", {"conditions": rules}, {"n": 5})) == "else"

    def test_switch_mode(self):
        config = {"mode": "switch", "switch_value": "b", "cases": [{"value": "a"}, {"value": "b", "output": "bee"}]}
        assert ports(run("condition", config)) == "bee"
        assert ports(run("condition", {**config, "switch_value": "z"})) == "default"

    def test_faults(self):
        assert codes("condition", {}) == [("", "invalid_value")]
        assert codes("condition", {"field": "a", "operator": "about"}) == [("/operator", "invalid_value")]
        assert codes("condition", {"mode": "switch"}) == [("", "invalid_value")]
        found = codes("condition", {"conditions": [{"field": "{{ a }}", "value": 1}]})
        assert found == [("/conditions/0/field", "expression_in_path")]


class TestSwitch:
    CASES = ({"value": 1, "output": "one"}, {"value": "two"})

    def test_by_value_and_by_field(self):
        assert ports(run("switch", {"value": "1", "cases": [*self.CASES]})) == "one"
        assert ports(run("switch", {"field": "kind", "cases": [*self.CASES]}, {"kind": "two"})) == "two"
        outcome = run("switch", {"field": "kind", "cases": [*self.CASES], "default_output": "other"}, {"kind": 9})
        assert outcome.ports == ("other",)
        assert outcome.output == {
            "matched": False, "output": "other", "matched_rule": None, "value": 9, "input": {"kind": 9},
        }  # fmt: skip

    def test_faults(self):
        assert codes("switch", {"cases": [{"value": 1}]}) == [("", "invalid_value")]
        assert codes("switch", {"value": 1, "cases": []}) == [("/cases", "invalid_value")]


class TestLoop:
    def test_items_from_a_field_an_expression_or_the_input(self):
        assert run("loop", {"items_field": "a.b"}, {"a": {"b": [1, 2]}}) == Iterate(items=(1, 2))
        assert run("loop", {"items": ["x"], "concurrency": 0}) == Iterate(items=("x",), concurrency=0)
        assert run("loop", {"on_item_error": "collect"}, [1]) == Iterate(items=(1,), on_item_error="collect")
        assert run("loop", {"items": {"a": 1}}) == Iterate(items=({"key": "a", "value": 1},))

    def test_batches(self):
        assert run("loop", {"items": [1, 2, 3], "batch_size": 2}).items == ([1, 2], [3])

    def test_too_many_items_fail_rather_than_being_cut(self):
        assert failure("loop", {"items": list(range(10_001))}) == "loop_too_many_items"
        assert len(run("loop", {"items": list(range(10_000))}).items) == 10_000
        assert failure("loop", {"items": [1, 2], "max_items": 1}) == "loop_too_many_items"

    def test_a_list_that_is_missing_is_an_error_and_a_null_is_none(self):
        assert failure("loop", {"items_field": "itmes"}, {"items": []}) == "loop_not_a_list"
        assert failure("loop", {"items": None}) == "loop_not_a_list"
        assert failure("loop", {"items": "abc"}) == "loop_not_a_list"
        assert run("loop", {"items_field": "items"}, {"items": None}) == Iterate(items=())


class TestWhile:
    def test_the_condition_is_an_expression_or_a_value(self):
        def evaluate(text: str) -> Any:
            return compile_expression(text).evaluate(Scope(input={"n": 2}))

        assert run("while", {"condition": "{{ input.n > 1 }}"}, evaluate=evaluate) == Repeat(True)
        assert run("while", {"condition": "input.n > 2"}, evaluate=evaluate) == Repeat(False)
        assert run("logic_while", {"expression": "[]"}, evaluate=evaluate) == Repeat(True)
        assert run("loop_while", {"condition": 0, "max_iterations": 5, "on_item_error": "collect"}) == Repeat(
            False, 5, "collect"
        )

    def test_faults(self):
        assert codes("while", {}) == [("/condition", "missing_field")]
        for most in (0, 100_001):
            assert codes("while", {"condition": "1", "max_iterations": most}) == [("/max_iterations", "invalid_value")]


class TestDelay:
    @pytest.mark.parametrize(
        ("config", "ms"),
        [
            ({"seconds": 1.5}, 1_500), ({"minutes": 1, "seconds": 1}, 61_000), ({"hours": 1}, 3_600_000),
            ({"days": 2}, 172_800_000), ({"milliseconds": 5}, 5), ({"duration": "1h30m"}, 5_400_000),
            ({"duration": "1.5s"}, 1_500), ({"duration": "250ms"}, 250), ({"duration": "PT1H30M"}, 5_400_000),
            ({"duration": "P1DT12H"}, 129_600_000), ({"until": "2027-01-15T08:00:01Z"}, 1_000),
            ({"until": "2027-01-15T09:00:01+01:00"}, 1_000), ({"until": NOW + 7}, 7), ({"days": 366}, 366 * 86_400_000),
        ],
    )  # fmt: skip
    def test_how_long(self, config: dict[str, Any], ms: int):
        assert run("delay", config, {"a": 1}) == Sleep(until=NOW + ms, output={"a": 1})

    def test_no_wait_needs_no_timer(self):
        assert run("delay", {"seconds": 0}, 5) == Completed(output=5)
        assert run("delay", {"until": "2020-01-01T00:00:00Z"}, 5) == Completed(output=5)

    def test_faults(self):
        assert codes("delay", {}) == [("", "invalid_value")]
        for text in ("soon", "1x", "P1M", "PT", "10", "1h oops"):
            assert codes("delay", {"duration": text}) == [("/duration", "invalid_value")], text
        assert codes("delay", {"until": "2026-12-24"}) == [("/until", "invalid_value")]
        assert codes("delay", {"seconds": -1}) == [("/seconds", "invalid_value")]
        assert failure("delay", {"days": 367}) == "delay_too_long"


class TestOutputs:
    def test_log(self):
        lines: list[str] = []
        outcome = run(
            "output_log", {"label": "L", "level": "warn", "message": "a\nb", "fields": {"n": 1}}, 5, log=lines.append
        )
        assert lines == ['WARNING L: a\\nb {"n": 1}']
        assert outcome.output == {"logged": True, "logged_at": "2027-01-15T08:00:00.000Z", "label": "L", "input": 5}

    def test_respond(self):
        outcome = run("respond", {"status": 201, "headers": {"X-A": 1}, "body": None}, "input")
        assert (outcome.answers, outcome.respond) == (True, {"status": 201, "headers": {"X-A": "1"}, "body": None})
        assert run("respond", {}, "input").respond == {"status": 200, "headers": {}, "body": "input"}
        assert codes("respond", {"headers": {"X-A": "a\r\nSet-Cookie: b"}}) == [("/headers", "invalid_value")]
        assert codes("respond", {"status_code": 99}) == [("/status_code", "invalid_value")]

    def test_sub_workflow(self):
        assert run("sub_workflow", {"workflow_id": "w"}, 5) == CallWorkflow("w", 5)
        config = {"workflow_id": "w", "input": None, "wait": False, "parent_close_policy": "abandon"}
        assert run("workflow", config, 5) == CallWorkflow("w", None, False, "abandon")
        assert codes("sub_workflow", {}) == [("/workflow_id", "missing_field")]

    def test_noop(self):
        assert run("noop", {}, {"a": 1}) == Completed(output={"a": 1})
