# SPDX-License-Identifier: MIT
"""strace and gdb, unmodified, inside: they see of a program what they see of it on Linux."""
import re
import shlex
import subprocess

from conftest import add, need

FORKS = r"""
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void)
{
    int ends[2], status;
    char byte;
    pipe(ends);
    pid_t pid = fork();
    if (pid == 0) {
        read(ends[0], &byte, 1);
        execl("/bin/true", "true", (char *)0);
        _exit(1);
    }
    write(ends[1], "x", 1);
    waitpid(pid, &status, 0);
    usleep(1000);
    kill(getpid(), SIGUSR1);
    return 3;
}
"""
THREADS = r"""#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
struct point { int x, y; const char *name; };
volatile int must_wait;
int total;
static int add_up(int n, struct point *p)
{
    if (n == 0)
        return p->x;
    return n + add_up(n - 1, p);
}
static void *worker(void *arg)
{
    struct point *p = arg;
    p->y = add_up(2, p);
    total += p->y;
    return NULL;
}
int main(int argc, char **argv)
{
    struct point p = { 1, 2, "origin" };
    pthread_t thread;
    must_wait = argc > 1;
    if (must_wait)
        puts("waiting"), fflush(stdout);
    while (must_wait)
        usleep(10000);
    pthread_create(&thread, NULL, worker, &p);
    pthread_join(thread, NULL);
    printf("%d %d\n", p.y, total);
    return 5;
}
"""
# Not the library's own frames: a host may have its symbols.
SETTINGS = ["set pagination off", "set confirm off", "set debug-file-directory /nonexistent", "set width 0", "set print thread-events off"]
STARTED = ["break add_up if n == 0", "info breakpoints", "run", "frame", "print *p", "print p->name", "print &total", "up", "info locals",
           "info args", "delete", "print add_up(4, p)", "finish", "break worker", "run", "next", "next", "step", "frame", "stepi", "delete",
           "catch syscall exit_group", "continue", "print total", "continue"]
ATTACHED = ["frame function main", "print argc", "print p", "set var must_wait = 0", "break worker", "continue", "next", "frame", "next",
            "print *p", "set can-use-hw-watchpoints 0", "watch total", "continue", "delete", "detach"]
WATCHED = ["break main", "run", "next", "watch total", "rwatch -l p.x", "info watchpoints", "continue", "backtrace 1", "continue", "delete 3",
           "next", "info watchpoints", "delete", "hbreak add_up", "run", "info breakpoints", "frame", "awatch -l total", "delete 4", "continue",
           "next", "continue", "continue"]


def compile_program(tmp_path, name, source):
    (tmp_path / f"{name}.c").write_text(source)
    program = tmp_path / name
    subprocess.run(["gcc", "-g", "-O0", "-w", "-pthread", "-include", "signal.h", "-o", program, f"{name}.c"], cwd=tmp_path, check=True)
    return str(program)


def same_place(*paths):
    """Options that put files of this host into the image where they are here."""
    return [word for path in paths for word in ("--add", f"{path}:{path}")]


def calls_of(text):
    """By process, in the order in which they began: what it called, without what differs from run to run."""
    processes, begun = {}, {}
    for line in text.split("\n"):
        match = re.match(r"(\d+) +(.*)", line)
        if not match:
            continue
        pid, call = match.groups()
        calls = processes.setdefault(pid, [])
        if call.endswith(" <unfinished ...>"):
            begun[pid] = call[:-len(" <unfinished ...>")]
            continue
        if resumed := re.match(r"<\.\.\. \w+ resumed>(.*)", call):
            call = begun.pop(pid) + resumed[1]
        calls.append(call)
    numbers = {pid: f"child {i}" for i, pid in enumerate(processes)}
    result = []
    for pid, calls in processes.items():
        for call in calls:
            call = re.sub(r"0x[0-9a-f]{6,}", "ADDRESS", call)
            call = re.sub(r" /\* \d+ vars? \*/|, si_[us]time=.*?(?=[,}])", "", call)
            call = re.sub(r"st_size=\d+", "st_size=N", call)
            call = re.sub(r"(mmap\(NULL|munmap\(ADDRESS), \d+", r"\1, N", call)
            call = re.sub(" += ", " = ", call)
            for _ in range(2):  # an argument and the result
                call = re.sub(r"(pid=|^wait4\(|^kill\(|^(?:getpid|clone|wait4|set_tid_address)\(.*\) = )(\d+)\b",
                              lambda match: match[1] + numbers.get(match[2], match[2]), call)
            result.append(f"{numbers[pid]} {call}")
    return result


def on_both(run, command, *options, environment=None):
    """Both results of a command; what it prints to stderr in Stout too, for who reads a failure."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/root", **(environment or {})}
    linux = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)
    words = [word for name, value in environment.items() for word in ("-e", f"{name}={value}")]
    stout = run(*command, options=[*words, *options])
    print(linux.stderr, stout.stderr)
    return linux, stout


def test_strace(run, tmp_path):
    program = compile_program(tmp_path, "forks", FORKS)
    linux, stout = on_both(run, [need("strace"), "-f", "-o", "/dev/stdout", program], "--cpus", "2", *add("true"), *same_place(program))
    assert (linux.returncode, stout.returncode) == (-10, 128 + 10)
    assert len(calls_of(linux.stdout)) > 60 and calls_of(stout.stdout) == calls_of(linux.stdout)


ATTACHES = r"""
cd `mktemp -d`
mkfifo in
cat in >out & pid=$!
exec 3>in
strace -o calls -p $pid 2>said & tracer=$!
until grep -q attached said; do sleep 0.1; done
echo hello >&3
until grep -q write calls; do sleep 0.1; done
grep -q "TracerPid:.$tracer" /proc/$pid/status && echo traced
kill -INT $tracer
wait $tracer
echo strace $?
grep TracerPid /proc/$pid/status
echo again >&3
exec 3>&-
wait $pid
echo cat $?
cat out said calls
"""


def test_strace_attaches(run):
    """It comes to a running program, sees a call that has begun and the next ones, and goes; the program goes on."""
    need("strace")
    linux, stout = on_both(run, ["/bin/sh", "-c", ATTACHES], *add("strace", "mktemp", "mkfifo", "cat", "grep", "sleep"))
    texts = []
    for result in (linux, stout):
        # Where it is when strace goes, the next call may have begun.
        text = re.sub(r"[Pp]rocess \d+", "process", result.stdout)
        texts.append(re.sub(r"\n[^\n]*<detached \.\.\.>\n$", "\n", text))
    assert texts[1] == texts[0]
    assert 'traced' in texts[0] and 'TracerPid:\t0\ncat 0\nhello\nagain\n' in texts[0] and 'write(1, "hello\\n", 6)' in texts[0]


def counts_of(text):
    rows = [re.fullmatch(r" *[\d.]+ +[\d.]+ +\d+ +(\d+) +(\d+)? *(\w+)", line) for line in text.split("\n")]
    return sorted((row[3], row[1], row[2]) for row in rows if row)


def test_strace_counts(run, tmp_path):
    program = compile_program(tmp_path, "forks", FORKS)
    linux, stout = on_both(run, [need("strace"), "-f", "-c", program], *add("true"), *same_place(program))
    assert len(counts_of(linux.stderr)) > 15 and counts_of(stout.stderr) == counts_of(linux.stderr)


def gdb_text(text):
    """What does not differ from run to run; without randomization the program itself has its place, libraries and the stack nearly."""
    return re.sub(r"LWP \d+|process \d+|0x(0000)?7ffff[0-9a-f]{7}", "NUMBER", text)


def gdb_command(tmp_path, commands):
    path = tmp_path / "commands"
    path.write_text("".join(f"echo -- {line}\\n\n{line}\n" for line in commands))
    return ["gdb", "-nx", "-batch", *[word for line in SETTINGS for word in ("-iex", line)], "-x", str(path)]


def gdb_on_both(run, tmp_path, command, program, *options, linux_needs=""):
    """What gdb says in Stout, and on Linux too, unless that does not say what it needs for the comparison."""
    linux, stout = on_both(run, command, "--cpus", "2", "-m", "512M", *same_place(tmp_path / "commands", program, f"{program}.c"),
                           *options, environment={"LC_ALL": "C.UTF-8", "SHELL": "/bin/sh"})
    if linux_needs in linux.stdout:
        assert gdb_text(stout.stdout).split("\n") == gdb_text(linux.stdout).split("\n")
    return stout.stdout


def test_gdb(run, tmp_path):
    need("gdb")
    program = compile_program(tmp_path, "threads", THREADS)
    text = gdb_on_both(run, tmp_path, [*gdb_command(tmp_path, STARTED), program], program)
    assert 'name = 0x555555556004 "origin"' in text and "exited with code 05" in text


def test_gdb_attaches(run, tmp_path):
    need("gdb")
    program = compile_program(tmp_path, "threads", THREADS)
    script = f"cd `mktemp -d`; mkfifo said; setarch -R {program} wait > said & exec 3< said; read line <&3; " \
             f"{shlex.join(gdb_command(tmp_path, ATTACHED))} -p $!; cat <&3; wait $!; echo status $?"
    text = gdb_on_both(run, tmp_path, ["/bin/sh", "-c", script], program, *add("gdb", "mkfifo", "mktemp", "cat", "setarch"))
    assert "New value = 4" in text and text.endswith("4 4\nstatus 5\n")


def test_gdb_watches(run, tmp_path):
    """With the processor's debug registers: data of several threads, and an instruction.  A hypervisor may hide them from Linux."""
    need("gdb")
    program = compile_program(tmp_path, "threads", THREADS)
    text = gdb_on_both(run, tmp_path, [*gdb_command(tmp_path, WATCHED), program], program, linux_needs="hit Hardware")
    assert text.count("hit Hardware") == 5 and "Hardware assisted breakpoint 4" in text and "exited with code 05" in text
