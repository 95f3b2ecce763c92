# SPDX-License-Identifier: MIT
"""php-fpm behind nginx in one machine, and PHP's command line."""
import concurrent.futures
import json
import shutil
import subprocess

import pytest
from shell import Shell

NGINX = """user www-data;
worker_processes 2;
error_log stderr;
pid /run/nginx.pid;
events { worker_connections 256; }
http {
    access_log off;
    server {
        listen 8080;
        root /srv;
        location ~ \\.php$ { include fastcgi.conf; fastcgi_pass unix:/run/php/fpm.sock; }
    }
}
"""
FPM = """[global]
pid = /run/php/fpm.pid
error_log = /var/log/fpm.log
[www]
user = www-data
group = www-data
listen = /run/php/fpm.sock
listen.owner = www-data
pm = dynamic
pm.max_children = 6
pm.start_servers = 2
pm.min_spare_servers = 1
pm.max_spare_servers = 3
pm.max_requests = 40
pm.status_path = /status.php
catch_workers_output = yes
"""
PAGE = """<?php
session_start();
$n = $_SESSION['n'] = ($_SESSION['n'] ?? 0) + 1;
header('Content-Type: application/json');
echo json_encode(['pid' => getmypid(), 'uid' => posix_geteuid(), 'n' => $n, 'sapi' => PHP_SAPI,
    'sum' => array_sum(array_map(fn($x) => $x * $x, range(1, (int)($_GET['to'] ?? 10)))),
    'post' => strlen(file_get_contents('php://input'))]);
"""
SLOW = "<?php usleep(700000); echo getmypid();"
DATABASE = """<?php
$db = new PDO('sqlite:/tmp/counter.db');
$db->setAttribute(PDO::ATTR_TIMEOUT, 30);
$db->exec('create table if not exists counter (n integer)');
$db->exec('begin immediate');
$n = (int)$db->query('select sum(n) from counter')->fetchColumn();
$db->exec('insert into counter values (1)');
$db->exec('commit');
echo $n + 1;
"""


@pytest.fixture
def site(tmp_path):
    fpm = shutil.which("php-fpm8.2", path="/usr/sbin")
    if not fpm or not shutil.which("nginx", path="/usr/sbin"):
        pytest.skip("no php-fpm or no nginx")
    (tmp_path / "srv").mkdir()
    for name, text in (("page", PAGE), ("slow", SLOW), ("database", DATABASE)):
        (tmp_path / f"srv/{name}.php").write_text(text)
    (tmp_path / "nginx.conf").write_text(NGINX)
    (tmp_path / "fpm.conf").write_text(FPM)
    vm = Shell(["nginx", fpm], ["pgrep"], guest_port=8080, timeout=280, options=[
        "--cpus", "2", "--add", f"{tmp_path}/srv:/srv", "--add", f"{tmp_path}/nginx.conf:/etc/nginx/nginx.conf",
        "--add", f"{tmp_path}/fpm.conf:/etc/php/8.2/fpm/php-fpm.conf"])
    vm.sh("mkdir -p /var/lib/php/sessions; chmod 1733 /var/lib/php/sessions; nginx")
    vm.sh("php-fpm8.2 --nodaemonize &")
    vm.wait_for(lambda: vm.get("/page.php")[0] == 200, "a page")
    yield vm
    vm.stop()


def page(vm, to=10):
    status, body = vm.get(f"/page.php?to={to}")
    assert status == 200, body + vm.sh("cat /var/log/fpm.log").encode()
    return json.loads(body)


def children(vm):
    return set(vm.sh("pgrep -P $(cat /run/php/fpm.pid)").split())


def test_pages(site):
    """Some hundred pages side by side; children end after 40 requests and others take their place."""
    first = children(site)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: page(site, n), range(1, 401)))
    assert [a["sum"] for a in answers] == [n * (n + 1) * (2 * n + 1) // 6 for n in range(1, 401)]
    assert {(a["uid"], a["sapi"]) for a in answers} == {(33, "fpm-fcgi")}
    used = {a["pid"] for a in answers}
    assert len(used) >= 10
    assert not first & children(site)
    assert 1 <= len(children(site)) <= 6
    assert "exited on signal" not in site.sh("cat /var/log/fpm.log")


def test_pool_grows_and_shrinks(site):
    """Pages that wait occupy a child each: the pool grows to its limit, and shrinks when it idles."""
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: site.get("/slow.php"), range(36)))
    assert {status for status, _ in answers} == {200}
    assert 4 <= len({body for _, body in answers}) <= 12
    site.sh_until("test $(pgrep -c -P $(cat /run/php/fpm.pid)) -le 3")


def test_child_killed(site):
    before = children(site)
    victim = min(before)
    site.sh(f"kill -9 {victim}")
    site.sh_until(f"! kill -0 {victim}; grep 'child {victim} exited on signal 9 (SIGKILL)' /var/log/fpm.log")
    assert page(site)["sum"] == 385


def test_database_of_processes(site):
    """Children of the pool share an SQLite file: its locks let every one see all that came before."""
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: site.get("/database.php"), range(60)))
    assert sorted(int(body) for _, body in answers) == list(range(1, 61)), answers


def test_reload_and_quit(site):
    """SIGUSR2 replaces the pool by executing the master anew, SIGQUIT ends it."""
    master, before = site.sh("cat /run/php/fpm.pid"), children(site)
    site.sh(f"kill -USR2 {master}")
    site.sh_until("grep 'using inherited socket' /var/log/fpm.log")
    site.sh_until(f"! kill -0 {' '.join(before)}")
    assert page(site)["sum"] == 385 and site.sh("cat /run/php/fpm.pid") == master
    site.sh("kill -QUIT $(cat /run/php/fpm.pid)")
    site.sh_until("! pgrep php-fpm")
    assert site.get("/page.php")[0] == 502


CLI = """<?php
$out = [];
foreach (['sort', 'tr a-z A-Z'] as $command) {
    $p = proc_open($command, [['pipe', 'r'], ['pipe', 'w']], $pipes);
    fwrite($pipes[0], "b\\na\\n");
    fclose($pipes[0]);
    $out[] = stream_get_contents($pipes[1]);
    $out[] = proc_close($p);
}
$out[] = shell_exec('echo $0');
$db = new PDO('sqlite::memory:');
$db->exec('create table t (x); insert into t values (1), (2), (40)');
$out[] = $db->query('select sum(x) from t')->fetchColumn();
$pair = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
$pid = pcntl_fork();
if (!$pid) {
    fwrite($pair[0], 'from the child');
    exit(7);
}
pcntl_waitpid($pid, $status);
$out[] = [pcntl_wexitstatus($status), fread($pair[1], 100)];
$out[] = [PHP_OS_FAMILY, PHP_INT_SIZE, preg_replace('/\\d+/', '', 'a1b22'), md5('x'), posix_getpid() > 0];
echo json_encode($out), "\\n";
exit(3);
"""


def test_command_line(run, tmp_path):
    if not shutil.which("php"):
        pytest.skip("no php")
    (tmp_path / "cli.php").write_text(CLI)
    linux = subprocess.run(["php", str(tmp_path / "cli.php")], capture_output=True, text=True, check=False)
    assert linux.returncode == 3 and "from the child" in linux.stdout, linux.stdout + linux.stderr
    stout = run(str(tmp_path / "cli.php"), options=["--add", "sh", "--add", "sort", "--add", "tr"])
    assert (stout.returncode, stout.stdout) == (3, linux.stdout), stout.stderr
