"""Checking a definition: every problem at once, each with the place where its author wrote the fault."""

from __future__ import annotations

from difflib import get_close_matches

from linkflow.domain.definition import CANCELLED, ERROR, NAMED_OUTPUTS, Definition, Node
from linkflow.domain.errors import Problem
from linkflow.domain.validation.catalogue import Catalogue
from linkflow.domain.validation.entry import check_entry
from linkflow.domain.validation.expressions import KnownNames, check_config
from linkflow.domain.validation.findings import MAX_PROBLEMS, Findings, capped
from linkflow.domain.validation.limits import MAX_EDGES, MAX_NODES, check_limits, check_size
from linkflow.domain.validation.places import Places, show
from linkflow.domain.validation.structure import check_structure

__all__ = ["MAX_EDGES", "MAX_NODES", "MAX_PROBLEMS", "Catalogue", "Places", "check"]

_CONFIG_CODES = {
    "missing_field": "missing_config",
    **{
        code: code
        for code in ("missing_config", "unknown_field", "invalid_type", "invalid_value", "expression_in_path")
    },
}
"""Codes of a catalogue that mean the same here; any other becomes ``invalid_config``."""


def check(definition: Definition, catalogue: Catalogue, where: Places | None = None) -> list[Problem]:
    """Everything wrong with a definition in its stored form, with canonical types.

    `where` tells the author's place of each part; without it paths point into the stored form. Problems with severity
    ``warning`` are no reason to refuse. A definition over the size limits is looked at no further.
    """
    findings = Findings(where or Places())
    if check_size(len(definition.nodes), len(definition.edges), findings):
        check_limits(definition, findings)
        outputs = _check_nodes(definition, catalogue, findings)
        _check_outputs(definition, outputs, findings)
        check_structure(definition, findings)
    return capped(findings.problems)


def _check_nodes(
    definition: Definition, catalogue: Catalogue, findings: Findings
) -> dict[str, tuple[Node, tuple[str, ...]]]:
    """Types, configs and expressions. Gives the outputs of each node whose config is sound."""
    known = KnownNames(definition)
    outputs: dict[str, tuple[Node, tuple[str, ...]]] = {}
    for place, node in enumerate(definition.nodes):
        path = f"/nodes/{place}"
        if catalogue.canonical(node.type) != node.type:
            _report_type(node.type, catalogue, path, findings)
            check_config(node.config, (), known, f"{path}/config", findings)
            continue
        if node.version not in (versions := catalogue.versions(node.type)):
            have = " and ".join(map(str, versions))
            message = f"{show(node.type)} has no version {node.version}; it has {have}."
            findings.error(f"{path}/version", "unknown_version", message)
            continue
        if node.version < (newest := max(versions)):
            message = (
                f"{show(node.type)} has version {newest} by now; this one goes on as it is. Look what is new in it."
            )
            findings.warn(f"{path}/version", "old_version", message)
        faults = catalogue.check(node.type, node.config, node.version)
        for fault in faults:
            _report_config(fault, f"{path}/config", findings)
        literal = catalogue.literal_fields(node.type, node.version)
        config = {name: value for name, value in node.config.items() if name not in literal}
        fields = catalogue.expression_fields(node.type, node.version)
        check_config(config, fields, known, f"{path}/config", findings)
        if not any(fault.severity == "error" for fault in faults):
            outputs.setdefault(node.id, (node, catalogue.outputs(node.type, node.config, node.version)))
    check_entry(definition.settings, known, findings)
    return outputs


def _report_config(fault: Problem, path: str, findings: Findings) -> None:
    """A fault of a config, under a code of ours: clients rely on codes, so a catalogue's own must not leak."""
    # A bare slash is how some write the whole config; as a JSON Pointer it would be a field without a name.
    where = path + ("" if fault.path == "/" else fault.path)
    if fault.severity == "warning":
        findings.warn(where, fault.code, fault.message)
    else:
        findings.error(where, _CONFIG_CODES.get(fault.code, "invalid_config"), fault.message)


def _report_type(type: str, catalogue: Catalogue, path: str, findings: Findings) -> None:
    close = get_close_matches(type, list(catalogue.names()), n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    findings.error(f"{path}/type", "unknown_type", f"There is no node type {show(type)}.{hint}")


def _check_outputs(
    definition: Definition, outputs: dict[str, tuple[Node, tuple[str, ...]]], findings: Findings
) -> None:
    for place, edge in enumerate(definition.edges):
        if edge.source not in outputs:
            continue
        node, names = outputs[edge.source]
        path = f"/edges/{place}/source_output"
        if edge.source_output in names or (edge.source_output == CANCELLED and node.type not in NAMED_OUTPUTS):
            continue
        if edge.source_output != ERROR:
            known = ", ".join(show(name) for name in names[:10])
            message = f"{show(node.label)} has no output {show(edge.source_output)}; it has {known}."
            findings.error(path, "unknown_output", message)
        elif node.on_error != "branch":
            message = f"{show(node.label)} takes its output 'error' only with on_error 'branch'."
            findings.error(path, "unknown_output", message)
