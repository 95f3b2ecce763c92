# SPDX-License-Identifier: MIT
"""subprocess, multiprocessing, concurrent.futures and what lies under them: the output on Linux is what it must be."""
import concurrent.futures
import contextlib
import multiprocessing
import multiprocessing.shared_memory
import os
import pty
import select
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
from subprocess import DEVNULL, PIPE, STDOUT


def shell(script, **more):
    return subprocess.run(["/bin/sh", "-c", script], check=False, **more)


def test_subprocess():
    print(shell("cat; echo err >&2; exit 3", input=b"in" * 3, capture_output=True))
    print(len(shell("cat", input=b"x" * 1000000, stdout=PIPE).stdout))
    print(shell("echo out; echo err >&2", stdout=PIPE, stderr=STDOUT, text=True).stdout.split())
    print(subprocess.check_output("echo $((6*7)) | cat", shell=True), subprocess.getstatusoutput("echo x; exit 4"))
    print(subprocess.call(["/bin/false"]), subprocess.call(["/bin/true"], stdout=DEVNULL))
    for call in (lambda: subprocess.run(["/no/such"], check=True), lambda: shell("exit 1").check_returncode(),
                 lambda: shell("exec sleep 60", timeout=0.1), lambda: subprocess.run(["/etc"], check=True),
                 lambda: subprocess.run(["/bin/true"], cwd="/no/such", check=True)):
        try:
            call()
        except (OSError, subprocess.SubprocessError) as error:
            print(type(error).__name__, str(error)[:40])
    first = subprocess.Popen(["/usr/bin/seq", "30000"], stdout=PIPE)
    second = subprocess.Popen(["/usr/bin/wc", "-l"], stdin=first.stdout, stdout=PIPE)
    first.stdout.close()
    print("piped", second.communicate()[0], first.wait())
    read, write = os.pipe()
    print(shell(f"echo passed >&{write}", pass_fds=[write]).returncode, os.read(read, 100))
    os.close(read)
    os.close(write)
    print(shell("echo $A; pwd; umask; ulimit -n", env={"A": "b"}, cwd="/usr", umask=0o27, stdout=PIPE,
                preexec_fn=limit_files).stdout.split())
    print(shell("id -u; id -g; id -G", user=33, group=44, extra_groups=[44, 55], stdout=PIPE).stdout.split())
    process = subprocess.Popen(["/bin/sh", "-c", "sleep 60 & wait"], start_new_session=True)
    print(process.poll(), os.getsid(process.pid) == process.pid)
    os.killpg(process.pid, signal.SIGTERM)
    print(process.wait())
    with subprocess.Popen(["/bin/cat"], stdin=PIPE, stdout=PIPE, text=True, bufsize=1) as cat:
        for word in ("one\n", "two\n"):
            cat.stdin.write(word)
            print(cat.stdout.readline().strip(), end=" ")
    print(cat.returncode)
    process = subprocess.Popen(["/bin/sleep", "60"])
    process.send_signal(signal.SIGINT)
    print(process.wait(), process.returncode)


def limit_files():
    import resource
    resource.setrlimit(resource.RLIMIT_NOFILE, (50, 60))


def square(n):
    return n * n


def fail(n):
    raise ValueError(f"in a worker: {n}")


def produce(queue, count):
    for n in range(count):
        queue.put((n, "x" * (n % 3000)))


def add(total, lock, rounds):
    for _ in range(rounds):
        with lock:
            total.value += 1


def answer(connection):
    while (message := connection.recv()) is not None:
        connection.send((message, len(message)))
    connection.send_bytes(b"bye")


def fill(name):
    memory = multiprocessing.shared_memory.SharedMemory(name=name)
    memory.buf[:4] = b"done"
    memory.close()


def extend(shared, n):
    shared["list"].append(n)
    shared["table"][n] = n * n


def meet(barrier, event, condition):
    barrier.wait(30)
    event.wait(30)
    with condition:
        condition.notify_all()


def test_multiprocessing(method):
    context = multiprocessing.get_context(method)
    with context.Pool(3) as pool:
        print(sum(pool.map(square, range(200))), pool.apply_async(square, (9,)).get(60),
              sorted(pool.imap_unordered(square, range(5))), pool.starmap(pow, [(2, 5), (3, 2)]))
        try:
            pool.apply(fail, (1,))
        except ValueError as error:
            print(error)
    queue = context.Queue()
    producers = [context.Process(target=produce, args=(queue, 200)) for _ in range(3)]
    for process in producers:
        process.start()
    got = [queue.get(timeout=60) for _ in range(600)]
    for process in producers:
        process.join()
    print("queue", sum(n for n, _ in got), sum(len(text) for _, text in got), [p.exitcode for p in producers])
    total, lock = context.Value("i", 0, lock=False), context.Lock()
    adders = [context.Process(target=add, args=(total, lock, 500)) for _ in range(4)]
    for process in adders:
        process.start()
    for process in adders:
        process.join()
    print("value", total.value)
    here, there = context.Pipe()
    process = context.Process(target=answer, args=(there,), daemon=True)
    process.start()
    for message in ("text", "y" * 200000):
        here.send(message)
        print(here.recv()[1], end=" ")
    here.send(None)
    print(here.recv_bytes())
    process.join()
    memory = multiprocessing.shared_memory.SharedMemory(create=True, size=10000)
    process = context.Process(target=fill, args=(memory.name,))
    process.start()
    process.join()
    print("shared", bytes(memory.buf[:4]), process.exitcode)
    memory.close()
    memory.unlink()
    with context.Manager() as manager:
        shared = manager.dict(list=manager.list(), table=manager.dict())
        processes = [context.Process(target=extend, args=(shared, n)) for n in range(4)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        print(sorted(shared["list"]), sorted(shared["table"].items()))
    barrier, event, condition = context.Barrier(3), context.Event(), context.Condition()
    processes = [context.Process(target=meet, args=(barrier, event, condition)) for _ in range(2)]
    with condition:
        for process in processes:
            process.start()
        barrier.wait(60)
        event.set()
        print("met", condition.wait(60))
    for process in processes:
        process.join()
    process = context.Process(target=time.sleep, args=(60,))
    process.start()
    process.terminate()
    process.join()
    print("terminated", process.exitcode, process.sentinel > 0)
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        print(sum(pool.map(square, range(50))), pool.submit(pow, 2, 100).result())
        dead = pool.submit(os._exit, 3)
        print(type(dead.exception(60)).__name__)


def test_fork():
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write, b"from the child")
        os._exit(3)
    print(os.read(read, 100), os.waitpid(pid, 0)[1] >> 8)
    children = []
    for n in range(50):
        pid = os.fork()
        if pid == 0:
            os._exit(n)
        children.append(pid)
    print("exits", sum(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children))
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", "echo spawned >&1; exit 6"], {"A": "1"}, setsigmask=[signal.SIGUSR1],
                         setpgroup=0, file_actions=[(os.POSIX_SPAWN_DUP2, write, 1), (os.POSIX_SPAWN_CLOSE, read)])
    print(os.read(read, 100), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    print(os.spawnlp(os.P_WAIT, "sh", "sh", "-c", "exit 8"), os.system("exit 9") >> 8)
    with os.popen("echo popen") as stream:
        print(stream.read().strip())
    pid = os.fork()
    if pid == 0:
        os.execvpe("sh", ["sh", "-c", "exit $CODE"], {"CODE": "11", "PATH": os.environ["PATH"]})
    info = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    print(info.si_status, info.si_code == os.CLD_EXITED, os.wait4(pid, 0)[1] >> 8)
    fd = os.pidfd_open(os.getpid())
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    signal.pidfd_send_signal(fd, signal.SIGUSR1)
    print(signal.sigwait([signal.SIGUSR1]).name, signal.sigtimedwait([signal.SIGUSR1], 0.01))
    os.close(fd)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])


def test_signal():
    seen = []
    for signo in (signal.SIGUSR1, signal.SIGALRM, signal.SIGRTMIN + 3):
        signal.signal(signo, lambda signo, frame: seen.append(int(signo)))
    signal.raise_signal(signal.SIGUSR1)
    os.kill(os.getpid(), signal.SIGRTMIN + 3)
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
    while seen.count(int(signal.SIGALRM)) < 3:
        signal.pause()
    signal.setitimer(signal.ITIMER_REAL, 0)
    print(seen[:2], seen.count(14) >= 3)
    read, write = os.pipe()
    os.set_blocking(write, False)
    old = signal.set_wakeup_fd(write)
    thread = threading.Thread(target=lambda: (time.sleep(0.05), os.kill(os.getpid(), signal.SIGUSR1)))
    thread.start()
    print(select.select([read], [], [], 20)[0] == [read], os.read(read, 10))
    thread.join()
    signal.set_wakeup_fd(old)
    signal.siginterrupt(signal.SIGUSR1, True)
    thread = threading.Thread(target=lambda: (time.sleep(0.05), signal.pthread_kill(threading.main_thread().ident, 10)))
    thread.start()
    start = time.monotonic()
    time.sleep(0.2)
    print("slept on", time.monotonic() - start >= 0.2)
    thread.join()


def test_pty():
    pid, fd = pty.fork()
    if pid == 0:
        os.execv("/bin/sh", ["sh", "-c", "stty -echo; test -t 0 && echo terminal; read -r line; echo \"<$line>\"; stty size"])
    data = b""
    with contextlib.suppress(OSError):
        while part := os.read(fd, 1000):
            data += part
            if data.endswith(b"terminal\r\n"):
                os.write(fd, b"typed\n")
    print(data, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    master, slave = os.openpty()
    print(os.isatty(slave), os.ttyname(slave).startswith("/dev/pts/"), os.write(slave, b"a\nb"), os.read(master, 10))


def test_select():
    pipes = [os.pipe() for _ in range(50)]
    selector = selectors.DefaultSelector()
    poll = select.poll()
    for n, (read, _) in enumerate(pipes):
        selector.register(read, selectors.EVENT_READ, n)
        poll.register(read, select.POLLIN)
    for n in (3, 17, 49):
        os.write(pipes[n][1], b"x")
    print(sorted(key.data for key, _ in selector.select(5)), len(poll.poll(1000)),
          len(select.select([r for r, _ in pipes], [w for _, w in pipes], [], 1)[1]))
    os.close(pipes[0][1])
    print([(fd == pipes[0][0], event) for fd, event in poll.poll(1000)][0])
    epoll = select.epoll()
    epoll.register(pipes[3][0], select.EPOLLIN | select.EPOLLET)
    print(len(epoll.poll(1)), len(epoll.poll(0.01)))


def main():
    for test in (test_subprocess, test_fork, test_signal, test_pty, test_select):
        print("--", test.__name__, flush=True)
        test()
    for method in sys.argv[1:]:
        print("--", method, flush=True)
        test_multiprocessing(method)
    with tempfile.TemporaryFile() as file:
        print(shell("echo end", stdout=file).returncode)


if __name__ == "__main__":
    main()
