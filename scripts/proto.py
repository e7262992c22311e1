"""Generates the protobuf code of `linkflow.transports.wire`; with ``--check`` only says whether it is current.

The RPCs in the ``.proto`` files are the methods of the contracts.
"""

from __future__ import annotations

import re
import sys
import tempfile
from importlib import import_module
from pathlib import Path

from grpc_tools import protoc

from linkflow.contracts.base import contract
from linkflow.transports.grpc import camel

ROOT = Path(__file__).resolve().parent.parent / "layers" / "linkflow" / "python"
WIRE = Path("linkflow") / "transports" / "wire"


SERVICES = ("frontend", "history", "matching", "timer", "worker")


def described(service: str) -> str:
    """What the ``.proto`` file of a service has to say: an RPC for each method of its contract, in their order."""
    text = (ROOT / WIRE / f"{service}.proto").read_text("utf-8")
    protocol = getattr(import_module(f"linkflow.contracts.{service}"), f"{camel(service)}Api")
    rpcs = "".join(f"  rpc {camel(method)}(Call) returns (Answer);\n" for method in contract(protocol).methods)
    return re.sub(r"(?<=\{\n)(  rpc .*\n)*(?=\})", lambda _: rpcs, text)


def generate(into: Path) -> None:
    """Write ``*_pb2.py`` and ``*_pb2.pyi`` below `into`. Exits 1 where protoc refuses."""
    # Paths are relative to the package root, so that the generated imports are linkflow.… and nothing of this machine.
    sources = sorted(str(path.relative_to(ROOT)) for path in (ROOT / WIRE).glob("*.proto"))
    if protoc.main(["protoc", f"-I{ROOT}", f"--python_out={into}", f"--pyi_out={into}", *sources]):
        sys.exit("protoc refused the .proto files.")


def generated(root: Path) -> dict[str, bytes]:
    """File name to content of the generated code below `root`."""
    return {path.name: path.read_bytes() for path in (root / WIRE).glob("*_pb2.py*")}


def main(arguments: list[str]) -> int:
    behind = [name for name in SERVICES if described(name) != (ROOT / WIRE / f"{name}.proto").read_text("utf-8")]
    if behind and "--check" in arguments:
        names = ", ".join(f"{name}.proto" for name in behind)
        print(f"The contracts have methods that {names} does not say. Run: make proto", file=sys.stderr)
        return 1
    for name in behind:
        (ROOT / WIRE / f"{name}.proto").write_text(described(name), "utf-8")
    with tempfile.TemporaryDirectory() as scratch:
        generate(Path(scratch))
        fresh = generated(Path(scratch))
    kept = generated(ROOT)
    stale = sorted(name for name in fresh.keys() | kept.keys() if fresh.get(name) != kept.get(name))
    if "--check" in arguments:
        if stale:
            print(f"The generated code is not current ({', '.join(stale)}). Run: make proto", file=sys.stderr)
        return 1 if stale else 0
    for name in stale:
        if name in fresh:
            (ROOT / WIRE / name).write_bytes(fresh[name])
        else:
            (ROOT / WIRE / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
