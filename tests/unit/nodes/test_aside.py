"""Nodes whose work is done in a process of its own (XML, HTML, Markdown, JSONata), and those with a budget (JMESPath,
template)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import jmespath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkflow.nodes import aside
from linkflow.nodes.base import NodeFailure
from linkflow.nodes.filling import MAX_TURNS
from tests.unit.nodes.peers import codes, run
from tests.unit.nodes.test_lists import JSON, failure, output


async def aside_of(type: str, config: dict[str, Any], input: Any = None) -> Any:
    return (await run(type, config, input)).output


async def failing(type: str, config: dict[str, Any], input: Any = None) -> tuple[str, str]:
    with pytest.raises(NodeFailure) as caught:
        await run(type, config, input)
    return caught.value.error.code, caught.value.error.message


class TestXml:
    async def test_there_and_back(self):
        text = '<?xml version="1.0" encoding="utf-8"?>\n<a x="1"><b>1</b><b>ä &amp; ö</b><c/>t</a>'
        value = await aside_of("xml", {}, text)
        assert value == {"a": {"@x": "1", "b": ["1", "ä & ö"], "c": None, "#text": "t"}}
        again = await aside_of("xml", {}, await aside_of("xml", {"operation": "write"}, value))
        assert again == value

    async def test_namespaces(self):
        text = '<n:a xmlns:n="urn:x"><n:b/></n:a>'
        assert await aside_of("xml", {"namespaces": True}, text) == {
            "urn:x:a": {"@xmlns": {"n": "urn:x"}, "urn:x:b": None}
        }

    @pytest.mark.parametrize(
        "text",
        [
            '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
            '<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><a>&b;</a>',
            '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
            '<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1/x"> %x;]><a/>',
            "<a>" * 500 + "</a>" * 500,
            "<a>" + "<b/>" * 200_001 + "</a>",
            "<a>",
            "",
            "<a/><b/>",
        ],
        ids=["entity", "laughs", "file", "parameter", "deep", "many", "open", "empty", "two"],
    )
    async def test_what_is_refused(self, text: str):
        assert (await failing("xml", {}, text))[0] == "bad_xml"

    async def test_names_cannot_smuggle(self):
        for value in ({"a><evil": 1}, {"a": {"b c": 1}}, {"a": 1, "b": 2}, [1], {"a": {"@x><y": 1}}):
            assert (await failing("xml", {"operation": "write"}, value))[0] == "bad_xml"
        assert (
            await aside_of("xml", {"operation": "write", "root": "a", "declaration": False}, "<b>")
            == "<a>&lt;b&gt;</a>"
        )


PAGE = """<html><head><title>T</title><script>evil()</script></head><body><h1>A  page</h1>
<p>One <a href="javascript:x">two</a> <a href="https://e.com/(1)">three</a> *x*</p><img src="i.png" alt="pic">
<pre>a
 b</pre><ol><li>x<ul><li>y</ul><li>z</ol><blockquote>q<br>r</blockquote>
<table><tr><th>n</th><th>v</th></tr><tr><td>a|b</td><td>1</td></tr><tr><td>c</td></tr></table></body></html>"""


class TestHtml:
    async def test_extract(self):
        fields = {
            "title": "h1",
            "links": {"selector": "a", "take": "href", "all": True},
            "cell": {"selector": "td", "take": "html"},
            "inner": {"selector": "blockquote", "take": "inner_html"},
            "nope": "h6",
            "nopes": {"selector": "h6", "all": True},
        }
        assert await aside_of("html", {"fields": fields}, PAGE) == {
            "title": "A page",
            "links": ["javascript:x", "https://e.com/(1)"],
            "cell": "<td>a|b</td>",
            "inner": "q<br>r",
            "nope": None,
            "nopes": [],
        }
        rows = {"each": "tr", "fields": {"all": {"take": "text"}}}
        assert await aside_of("html", rows, PAGE) == [{"all": "n v"}, {"all": "a|b 1"}, {"all": "c"}]
        assert (await failing("html", {"fields": {"a": "p["}}, PAGE))[0] == "bad_html"

    async def test_text(self):
        text = await aside_of("html", {"operation": "text"}, PAGE)
        assert "evil" not in text
        assert text.startswith("A page\n\nOne two three *x*")
        assert await aside_of("html", {"operation": "text"}, "") == ""

    async def test_tables(self):
        assert await aside_of("html", {"operation": "table"}, PAGE) == [{"n": "a|b", "v": "1"}, {"n": "c", "v": None}]
        assert await aside_of("html", {"operation": "table"}, "<table><tr><td>1<td>2</table>") == [["1", "2"]]
        assert (await failing("html", {"operation": "table", "selector": "#x"}, PAGE))[0] == "bad_html"

    async def test_markdown(self):
        assert await aside_of("html", {"operation": "markdown"}, PAGE) == (
            "# A page\n\nOne two [three](https://e.com/%281%29) \\*x\\*\n\n![pic](i.png)\n\n```\na\n b\n```\n\n"
            "1. x\n   - y\n2. z\n\n> q\n> r\n\n| n | v |\n|---|---|\n| a\\|b | 1 |\n| c |  |"
        )

    async def test_bombs(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(aside, "SECONDS", 1.0)
        code, _ = await failing("html", {"operation": "markdown"}, "<div>" * 100_000)
        assert code in ("bad_html", "too_much_work")
        assert (await aside_of("html", {"fields": {"a": "b"}}, "<b>x" * 1000))["a"]


async def test_markdown():
    text = "# A\n\n|a|b|\n|-|-|\n|1|2|\n\n~~x~~ [l](javascript:alert(1)) <script>x</script>\nb"
    html = await aside_of("markdown", {}, text)
    assert "<h1>A</h1>" in html
    assert "<td>1</td>" in html
    assert "<s>x</s>" in html
    assert "<script" not in html
    assert 'href="javascript' not in html
    assert "<br" in await aside_of("markdown", {"breaks": True}, "a\nb")
    assert "<b>x</b>" in await aside_of("markdown", {"allow_html": True}, "<b>x</b>")
    assert (await failing("markdown", {}, "x" * 300_000))[0] == "not_a_text"


class TestJsonata:
    async def test_queries(self):
        data = {"a": [{"n": 1}, {"n": 2.0}, {"n": 3.5}]}
        assert await aside_of("jsonata", {"query": "a[n > 1].n"}, data) == [2, 3.5]
        assert await aside_of("jsonata", {"query": "nope"}, data) is None
        assert await aside_of("jsonata", {"query": "{'s': $sum(a.n) * $k}", "values": {"k": 2}}, data) == {"s": 13}
        assert await aside_of("jsonata", {"query": '"{{ not ours }}"'}, data) == "{{ not ours }}"

    async def test_what_fails(self):
        for query in ("a[", "$nope()", "$error('x')", "function($x){$x}", "$sum('a')"):
            assert (await failing("jsonata", {"query": query}, {"a": 1}))[0] == "bad_query"

    @pytest.mark.parametrize(
        "query",
        [
            "($f := function($n) { $f($n + 1) + 1 }; $f(1))",
            "($f := function($n) { $f($n + 1) }; $f(1))",
            "($map([1..10000000], function($i) { $string($i) & $pad('', 100000) }))",
            "$pad('', 2000000000)",
        ],
        ids=["deep", "endless", "memory", "text"],
    )
    async def test_bombs(self, monkeypatch: pytest.MonkeyPatch, query: str):
        monkeypatch.setattr(aside, "SECONDS", 1.0)
        assert (await failing("jsonata", {"query": query}, {}))[0] in ("too_much_work", "bad_query")


class TestAside:
    async def test_it_has_nothing(self, monkeypatch: pytest.MonkeyPatch):
        """No environment, and no file can be written."""
        monkeypatch.setenv("LINKFLOW_SECRET", "hidden")
        call = "sys:exit"
        assert "LINKFLOW_SECRET" not in json.dumps(await aside._ask(task("os:environ.copy"), 10))
        assert await aside._ask(task(call), 10) == {"much": "time or memory"}

    async def test_time_is_bounded(self):
        assert await aside._ask(task("time:sleep", 60), 0.3) == {"much": "time"}
        with pytest.raises(NodeFailure) as caught:
            await aside.aside(
                "jsonata:evaluate", "($f := function($n) { $f($n + 1) }; $f(1))", {}, {}, code="x", seconds=0.2
            )
        assert caught.value.error.code == "too_much_work"

    async def test_a_cancelled_call_leaves_no_process(self):
        call = asyncio.create_task(aside._ask(task("time:sleep", 60), 60))
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


def task(call: str, *arguments: Any) -> bytes:
    import sys

    given = {
        "path": sys.path,
        "call": call,
        "arguments": arguments,
        "seconds": 5,
        "memory": aside.MEMORY,
        "most": 10_000,
    }
    return json.dumps(given).encode()


class TestJmespath:
    QUERIES = ("a", "a.b", "[*].a", "a[?b > `1`]", "{x: a, y: length(@)}", "[a, b]", "keys(@)", "a || b", "a[:2] | [0]",
               "to_string(@)", "[]", "sort(a)", "a == b", "!a", "values(@)[]", "not_null(a, b)", "max_by(a, &b)")  # fmt: skip

    @given(JSON, st.sampled_from(QUERIES))
    def test_it_is_jmespath(self, value: Any, query: str):
        try:
            expected = jmespath.search(query, value)
        except Exception:
            with pytest.raises(NodeFailure):
                run("jmespath", {"query": query}, value)
        else:
            assert output("jmespath", {"query": query}, value) == expected

    def test_ordinary_work_is_within_the_budget(self):
        rows = [{"id": index, "tags": ["a", "b"], "who": {"name": "x" * 50}} for index in range(10_000)]
        assert (
            len(output("jmespath", {"query": "[?id > `5`].{id: id, who: who.name, tags: join('-', tags)}"}, rows))
            == 9_994
        )

    @pytest.mark.parametrize(
        "query",
        [
            "|".join(["[@,@]"] * 60), "|".join(["[@,@][]"] * 60), "|".join(["{a:@,b:@}"] * 60) + "|to_string(@)",
            "|".join(["[@,@]"] * 60) + " == `1`", "[*].[*].[*]" + ".[@,@]" * 60, "map(&map(&map(&@, @), @), @)",
        ],
    )  # fmt: skip
    def test_bombs(self, query: str):
        value = [[0] * 200 for _ in range(200)]
        if query.startswith("map"):
            value = [[[0] * 100 for _ in range(100)] for _ in range(200)]
        assert failure("jmespath", {"query": query}, value) in ("too_much_work", "bad_query")

    def test_what_does_not_parse(self):
        for query in ("a[", "a b", "(" * 500, "&", "a..b"):
            assert codes("jmespath", {"query": query}) == [("/query", "invalid_value")]


class TestTemplate:
    async def filled(self, template: str, input: Any = None, **config: Any) -> str:
        return await aside_of("template", {"template": template, **config}, input)

    async def test_blocks(self):
        template = "{{#each input}}{{#if loop.index}}, {{/if}}{{loop.item.n}}{{#each loop.item.m}}[{{loop.item}}]{{/each}}{{/each}}"
        assert await self.filled(template, [{"n": 1, "m": [2, 3]}, {"n": 4}]) == "1[2][3], 4"
        assert await self.filled("{{#if input.a}}y{{else}}n{{/if}}", {"a": 0}) == "n"
        assert await self.filled("{{#each input}}{{loop.item.key}}={{loop.item.value}} {{/each}}", {"a": 1}) == "a=1 "
        assert await self.filled("a {{ input.x.map(i => ({v: i}))[0].v }} }} {{'}}'}}", {"x": [7]}) == "a 7 }} }}"
        assert await self.filled("{{ trigger }}{{ input }}", {"a": 1}, value="v") == "v"

    async def test_lines_of_tags_are_no_lines(self):
        assert await self.filled("a\n{{#if true}}\nb\n  {{else}}\nc\n{{/if}}\nd\n") == "a\nb\nd\n"

    async def test_escaping(self):
        assert await self.filled("<b>{{ input }}</b>", '<"&', escape="html") == "<b>&lt;&quot;&amp;</b>"
        assert await self.filled("{{ input }}", "<") == "<"

    @pytest.mark.parametrize(
        "template", ["{{#each x}}", "{{/if}}", "{{else}}", "{{#if x}}{{/each}}", "{{#with x}}{{/with}}", "{{ input.replace(/a/g, 1) }}", "{{ a + }}", "{{#if}}{{/if}}",
                     "{{#if 1}}{{else}}{{else}}{{/if}}", "{{#if 1}}" * 30 + "{{/if}}" * 30],
    )  # fmt: skip
    def test_what_is_refused(self, template: str):
        assert codes("template", {"template": template}) == [("/template", "invalid_value")]

    async def test_what_fails(self):
        assert (await failing("template", {"template": "{{#each input}}{{/each}}"}, 5))[0] == "template_error"
        assert (await failing("template", {"template": "{{ input.join() }}"}, 5))[0] == "template_error"

    async def test_bombs(self):
        many = {"template": "{{#each input}}{{#each input}}x{{/each}}{{/each}}"}
        assert (await failing("template", many, [0] * (MAX_TURNS // 10)))[0] == "too_much_work"
        large = {"template": "{{#each input.n}}{{ input.t }}{{/each}}"}
        assert (await failing("template", large, {"n": [0] * 1000, "t": "x" * 10_000}))[0] == "too_much_work"
