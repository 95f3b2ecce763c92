# SPDX-License-Identifier: MIT
"""SQLite with several processes: the shell and Python, rollback journal and write-ahead log."""
import os

import pytest
from shell import Shell

WRITER = """import sqlite3, sys
db = sqlite3.connect('/data/db', timeout=60, isolation_level=None)
for _ in range(60):
    db.execute('begin immediate')
    n = db.execute('select n from counter').fetchone()[0]
    db.execute('update counter set n = ?', (n + 1,))
    db.execute('insert into log values (?, ?)', (sys.argv[1], n + 1))
    db.execute('commit')
"""


@pytest.fixture
def inside(tmp_path):
    if not os.path.exists("/usr/bin/sqlite3"):
        pytest.skip("no sqlite3")
    (tmp_path / "writer.py").write_text(WRITER)
    vm = Shell(["/usr/bin/sqlite3", "/usr/bin/python3"], timeout=200,
               options=["--cpus", "2", "-m", "1G", "--add", f"{tmp_path}/writer.py:/writer.py"])
    vm.sh("mkdir /data")
    yield vm
    vm.stop()


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_processes_count_together(inside, mode):
    """Two Python processes and two shells write at once: every step is there once."""
    assert inside.sh(f"sqlite3 /data/db 'pragma journal_mode = {mode}; create table counter (n int); insert into counter values"
                     " (0); create table log (who text, n int);'") == mode
    step = ".timeout 60000\\nbegin immediate; update counter set n = n + 1; insert into log select 0, n from counter; commit;"
    inside.sh("failed=0; python3 /writer.py a & one=$!; python3 /writer.py b & two=$!;"
              f" for w in 1 2; do (for ((i = 0; i < 15; i++)); do printf '{step}\\n' | sqlite3 /data/db || exit 1; done) & ws+=\" $!\";"
              " done; for p in $one $two $ws; do wait $p || failed=1; done; ((!failed))")
    assert inside.sh("sqlite3 /data/db 'select n from counter; select count(*), count(distinct n), max(n) from log;"
                     " pragma integrity_check'").split() == ["150", "150|150|150", "ok"]


def test_locked(inside):
    """A writer that does not wait is told that another one is at work; a reader in WAL mode is not."""
    inside.sh("sqlite3 /data/db 'pragma journal_mode = wal; create table t (n); insert into t values (1)'")
    inside.sh("coproc sqlite3 /data/db; echo 'begin immediate; insert into t values (2); select 5;' >&${COPROC[1]};"
              " read -u ${COPROC[0]} n; test $n = 5")
    assert "locked" in inside.sh("sqlite3 /data/db 'insert into t values (3)'", status=None)
    assert inside.sh("sqlite3 /data/db 'select count(*) from t'") == "1"
    inside.sh("kill -9 $COPROC_PID; wait $COPROC_PID || true")  # its transaction is gone with it
    assert inside.sh("sqlite3 /data/db 'insert into t values (4); select sum(n) from t'") == "5"
