# SPDX-License-Identifier: MIT
"""MariaDB 10.11: tables made and served inside, the mariadb client outside."""
import os
import shutil
import subprocess
import threading

import pytest
from shell import Shell

SERVER = ("mariadbd --user=mysql --datadir=/data/main --bind-address=0.0.0.0 --pid-file=/run/mysqld/pid --log-error=/data/log.err"
          " --innodb-buffer-pool-size=24M --innodb-log-file-size=8M --skip-name-resolve")
INSTALL = ("mariadb-install-db --no-defaults --user=mysql --datadir=/data/main --auth-root-authentication-method=normal"
           " --skip-test-db --innodb-log-file-size=8M")
INSTALL_TOOLS = ("mariadb-install-db", "mariadb", "sh", "my_print_defaults", "resolveip", "basename", "dirname", "sed", "uname")


class Server(Shell):
    """A shell that runs MariaDB as the user mysql; its log is /data/log.err."""

    def __init__(self):
        super().__init__(["mariadbd"], ["pgrep", *INSTALL_TOOLS], guest_port=3306, timeout=280,
                         options=["--cpus", "2", "-m", "1G"])
        self.sh("mkdir -p /data; chown mysql /data")
        self.sh(INSTALL)
        self.start()
        self.sql("create user test@'%' identified by 'secret'; grant all on *.* to test@'%'", user="root")

    def start(self):
        self.sh(f"{SERVER} </dev/null >/dev/null 2>&1 &")
        self.sh_until("grep 'ready for connections' /data/log.err || ! kill -0 $!", 100)
        assert "ready for connections" in self.log(), self.log()

    def log(self):
        return self.sh("cat /data/log.err")

    def command(self, user="test"):
        """root comes from inside only, through the UNIX socket; the tests' user from outside."""
        return ["mariadb", "--no-defaults", "-h127.0.0.1", f"-P{self.port}", f"-u{user}", "-psecret",
                "--default-character-set=utf8mb4", "-N", "-B", "--unbuffered"]

    def sql(self, statements, user="test", database="mysql"):
        if user == "root":
            return self.sh(f"mariadb --no-defaults -S /run/mysqld/mysqld.sock -N -B -e \"{statements}\"")
        result = subprocess.run([*self.command(), database], input=statements, capture_output=True, text=True, timeout=100,
                                check=False)
        assert result.returncode == 0, result.stderr + self.log()
        return result.stdout.strip().replace("\t", "|")

    def session(self):
        return subprocess.Popen(self.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True, bufsize=1)


def ask(session, statement):
    session.stdin.write(statement + "\n")
    session.stdin.flush()
    return session.stdout.readline().strip()


@pytest.fixture(scope="module")
def server():
    if not shutil.which("mariadbd", path="/usr/sbin") or not shutil.which("mariadb"):
        pytest.skip("no MariaDB")
    vm = Server()
    yield vm
    assert vm.stop(), vm.text()


def test_statements(server):
    assert server.sql("select version()").startswith("10.11.")
    server.sql("create database shop; use shop; create table item (id int primary key auto_increment, name varchar(50) unique,"
               " price decimal(8,2)) engine=innodb; insert into item (name, price) select concat('item ', seq), seq / 4 from"
               " seq_1_to_5000; create table note (id int primary key, text text) engine=aria charset=utf8mb4; insert into note values (1, 'äöü')")
    assert server.sql("select count(*), sum(price) from item where name like 'item 1%'", database="shop") == "1111|" + str(
        sum(n for n in range(1, 5001) if str(n).startswith("1")) / 4) + "0"
    assert server.sql("select upper(text), hex(text) from note", database="shop") == "ÄÖÜ|C3A4C3B6C3BC"
    uptime = "select variable_value > 0 from information_schema.global_status where variable_name = 'uptime'"
    assert any(server.sql(uptime) == "1" for _ in range(2000))  # in seconds
    assert "item" in server.sql("check table item, note", database="shop")


def test_transactions_and_locks(server):
    """Two sessions: one waits for the other's row lock; a deadlock is found and one of them told."""
    server.sql("create database bank; use bank; create table account (id int primary key, sum int) engine=innodb;"
               " insert into account values (1, 100), (2, 100)")
    with server.session() as one, server.session() as two:
        for session, row in ((one, 1), (two, 2)):
            assert ask(session, f"use bank; begin; update account set sum = sum - 1 where id = {row}; select 'done';") == "done"
        for session, row in ((one, 2), (two, 1)):
            session.stdin.write(f"update account set sum = sum - 1 where id = {row};\ncommit;\n")
            session.stdin.flush()
        outputs = [session.communicate(timeout=60)[0] for session in (one, two)]
        assert sum("Deadlock found" in text for text in outputs) == 1, outputs
    assert server.sql("select sum(sum) from bank.account") == "198"


TRANSFERS = """use bank;
""" + "".join(f"begin; update purse set sum = sum - 1 where id = {n % 4}; update purse set sum = sum + 1 where id = 4 + {n % 3};"
              " commit;\n" for n in range(60)) + "select 'done';\n"


def test_transactions_side_by_side(server):
    """Eight clients move money at once; none is lost."""
    server.sql("use bank; create table purse (id int primary key, sum int) engine=innodb;"
               "insert into purse select seq, 1000 from seq_0_to_6")
    results = []
    threads = [threading.Thread(target=lambda: results.append(server.sql(TRANSFERS))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == ["done"] * 8
    assert server.sql("select sum(sum), min(sum), max(sum) from bank.purse") == "7000|880|1160"


def test_killed(server):
    """kill -9 in the middle of a transaction: InnoDB recovers what was committed, and no more."""
    with server.session() as session:
        assert ask(session, "use bank; begin; update account set sum = 0; select 'done';") == "done"
        server.sh("kill -9 $(cat /run/mysqld/pid)")
        server.sh("wait; rm /data/log.err")
        output = session.communicate("select 1;\n", timeout=60)[0]
        assert "Lost connection" in output or "gone away" in output, output
    server.start()
    assert "Starting crash recovery" in server.log()
    assert server.sql("select sum(sum) from bank.account") == "198" and server.sql("select sum(sum) from bank.purse") == "7000"


def test_clean_shutdown(server):
    server.sh("kill -TERM $(cat /run/mysqld/pid); wait")
    assert "Shutdown complete" in server.log()
    server.sh("rm /data/log.err")
    server.start()
    assert "crash recovery" not in server.log()
    assert server.sql("select sum(sum) from bank.purse") == "7000"
