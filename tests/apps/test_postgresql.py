# SPDX-License-Identifier: MIT
"""PostgreSQL 15: a cluster made and served inside, psql and pgbench outside."""
import os
import re
import subprocess

import pytest
from shell import Shell

BIN = "/usr/lib/postgresql/15/bin"
CONFIG = """listen_addresses = '*'
max_connections = 30
shared_buffers = 32MB
log_line_prefix = '%p '
logging_collector = off
"""


class Cluster(Shell):
    """A shell that runs PostgreSQL as the user postgres; its log is /data/log."""

    def __init__(self):
        super().__init__([f"{BIN}/postgres"], ["pgrep"], guest_port=5432, timeout=280, options=["--cpus", "2", "-m", "1G"])
        self.sh(f"PATH=$PATH:{BIN}; as_postgres() {{ setpriv --reuid=postgres --regid=postgres --init-groups \"$@\"; }};"
                " mkdir -p /data; chown postgres /data")
        self.sh("as_postgres initdb -D /data/main --auth=trust --locale=C.UTF-8 --no-sync")
        for line in CONFIG.splitlines():
            self.sh(f'echo "{line}" >>/data/main/postgresql.conf')
        self.sh("echo 'host all all 0.0.0.0/0 trust' >>/data/main/pg_hba.conf")
        self.ctl("start")

    def ctl(self, command):
        return self.sh(f"cd /data; as_postgres pg_ctl -D /data/main -l /data/log -w -t 60 {command}")

    def log(self):
        return self.sh("cat /data/log")

    def environment(self):
        return {**os.environ, "PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": "postgres", "PGCONNECT_TIMEOUT": "30"}

    def psql(self, statement, database="postgres"):
        result = subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database], input=statement, timeout=100,
                                env=self.environment(), capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr + self.log()
        return result.stdout.strip()

    def session(self):
        """A psql that takes statements one after another."""
        return subprocess.Popen(["psql", "-XAtq", "-d", "postgres"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, bufsize=1, env=self.environment())

    def pgbench(self, *args):
        """Transactions per second, none of which may have failed."""
        result = subprocess.run(["pgbench", *args, "postgres"], capture_output=True, text=True, timeout=200,
                                env=self.environment(), check=False)
        print(result.stdout)
        assert result.returncode == 0, result.stdout + result.stderr + self.log()
        assert "number of failed transactions: 0 " in result.stdout or "-i" in args
        return "-i" in args or float(re.search(r"tps = ([\d.]+)", result.stdout)[1])


@pytest.fixture(scope="module")
def cluster():
    """One machine for the whole file: a cluster takes its time to make."""
    if not os.path.exists(f"{BIN}/postgres"):
        pytest.skip("no PostgreSQL 15")
    vm = Cluster()
    yield vm
    assert vm.stop(), vm.text()


def ask(session, statement):
    session.stdin.write(statement + "\n")
    session.stdin.flush()
    return session.stdout.readline().strip()


def test_statements(cluster):
    assert cluster.psql("show server_version").startswith("15.")
    assert cluster.psql("select current_user, pg_postmaster_start_time() < now()") == "postgres|t"
    cluster.psql("create table t (n serial primary key, name text unique, at timestamptz default now());"
                 "insert into t (name) select 'name ' || i from generate_series(1, 5000) i; analyze t")
    assert cluster.psql("select count(*), sum(n) from t where name like 'name 1%'") == "1111|" + str(
        sum(n for n in range(1, 5001) if str(n).startswith("1")))
    assert cluster.psql("select extract(timezone from timestamptz '2024-07-01 12:00 Europe/Berlin' at time zone 'UTC' at time"
                        " zone 'Europe/Berlin')") != ""
    assert cluster.psql("do $$ declare s int := 0; begin for i in 1..100 loop s := s + i; end loop; raise notice '%', s;"
                        " end $$; select upper('äöü'), sha256('x')").startswith("ÄÖÜ|\\x2d711642")
    assert cluster.psql("set max_parallel_workers_per_gather = 2; set parallel_setup_cost = 0; set parallel_tuple_cost = 0;"
                        " set min_parallel_table_scan_size = 0; select count(*) from t a") == "5000"
    copied = cluster.psql("copy (select n from t order by n) to stdout").splitlines()
    assert copied == [str(n) for n in range(1, 5001)]


def test_transactions_and_locks(cluster):
    """Two sessions: one waits for the other's row lock; a deadlock is found and one of them told."""
    cluster.psql("create table account (id int primary key, sum int); insert into account values (1, 100), (2, 100)")
    with cluster.session() as one, cluster.session() as two:
        for session in (one, two):
            assert ask(session, "set deadlock_timeout = '300ms'; begin; select 1;") == "1"
        assert ask(one, "update account set sum = sum - 1 where id = 1 returning sum;") == "99"
        assert ask(two, "update account set sum = sum - 1 where id = 2 returning sum;") == "99"
        one.stdin.write("update account set sum = sum - 1 where id = 2 returning sum;\n")
        one.stdin.flush()
        two.stdin.write("update account set sum = sum - 1 where id = 1 returning sum;\n")
        two.stdin.flush()
        for session in (one, two):
            session.stdin.write("commit;\n\\q\n")
            session.stdin.flush()
        outputs = [session.communicate(timeout=60)[0] for session in (one, two)]
        assert sum("deadlock detected" in text for text in outputs) == 1, outputs
    assert cluster.psql("select sum(sum) from account") == "198"


def test_notify(cluster):
    """Processes wake one another by signals and sockets."""
    with cluster.session() as listener:
        assert ask(listener, "listen channel; select 'ready';") == "ready"
        cluster.psql("notify channel, 'payload'")
        assert "payload" in ask(listener, "select pg_sleep(0.5);") + listener.stdout.readline()
        listener.communicate("\\q\n", timeout=30)


def test_pgbench(cluster):
    """Four clients: TPC-B's transactions balance, and read-only ones run."""
    cluster.pgbench("-i", "-s", "1", "-q")
    assert cluster.pgbench("-c", "4", "-j", "2", "-T", "8") > 5
    assert cluster.psql("select (select sum(abalance) from pgbench_accounts) = (select sum(bbalance) from pgbench_branches) and"
                        " (select sum(delta) from pgbench_history) = (select sum(tbalance) from pgbench_tellers),"
                        " (select count(*) > 40 from pgbench_history)") == "t|t"
    assert cluster.pgbench("-S", "-c", "4", "-j", "2", "-T", "6") > 20


def test_backend_killed(cluster):
    """As on Linux: the postmaster ends all sessions, recovers from the log, and goes on."""
    cluster.psql("create table kept (n int); insert into kept values (42)")
    with cluster.session() as one, cluster.session() as two:
        victim = ask(one, "select pg_backend_pid();")
        assert ask(two, "begin; insert into kept values (43); select 1;") == "1"
        cluster.sh(f"kill -9 {victim}")
        outputs = [session.communicate("select 2;\n\\q\n", timeout=60)[0] for session in (one, two)]
        for text in outputs:
            assert "terminated" in text or "closed the connection" in text, outputs
    cluster.wait_for(lambda: "database system is ready" in cluster.log().split("was terminated by signal 9")[-1], "recovery")
    log = cluster.log().split(f"server process (PID {victim}) was terminated by signal 9: Killed")[1]
    for text in ("terminating any other active server processes", "all server processes terminated; reinitializing",
                 "automatic recovery in progress", "redo done", "database system is ready to accept connections"):
        assert text in log, log
    assert cluster.psql("select n from kept") == "42"


def test_postmaster_killed(cluster):
    """Its children notice and go; a new server recovers what was committed."""
    cluster.psql("insert into kept values (44)")
    cluster.sh("kill -9 $(head -n 1 /data/main/postmaster.pid)")
    cluster.sh_until("! pgrep postgres")
    cluster.ctl("start")
    assert cluster.psql("select sum(n) from kept") == "86"


def test_clean_shutdown(cluster):
    """The interlock refuses a second server; after a clean stop all is there without a recovery."""
    assert "lock file \"postmaster.pid\" already exists" in cluster.sh("as_postgres postgres -D /data/main -p 5433", status=1)
    cluster.ctl("stop -m fast")
    assert "database system is shut down" in cluster.log()
    cluster.sh("! pgrep postgres")
    assert "shut down" in cluster.sh("as_postgres pg_controldata /data/main | grep state")
    cluster.sh("rm /data/log")
    cluster.ctl("start")
    assert "recovery" not in cluster.log() and cluster.psql("select sum(n) from kept") == "86"
    cluster.ctl("reload")
    cluster.ctl("stop -m smart")
