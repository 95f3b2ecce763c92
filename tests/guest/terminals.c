// SPDX-License-Identifier: MIT
/*
 * Pairs of terminals: the line discipline, raw mode, signals, window size, hang-up.
 * test: flags=-pthread cpus=2
 */
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <termios.h>

static int master, slave;
static char slave_name[64];

static void open_pair(void)
{
    int unlock = 0, number;

    NEED((master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)) >= 0);
    NEED(!ioctl(master, TIOCSPTLCK, &unlock) && !ioctl(master, TIOCGPTN, &number));
    snprintf(slave_name, sizeof slave_name, "/dev/pts/%d", number);
    NEED((slave = open(slave_name, O_RDWR | O_NOCTTY)) >= 0);
    CHECK(isatty(slave) && isatty(master));
    CHECK(!strcmp(ttyname(slave), slave_name));
}

static void close_pair(void)
{
    close(slave);
    close(master);
}

/* What the other side shows, with control characters readable. */
static void show(const char *what, int fd)
{
    char buffer[4096];
    ssize_t len;

    fcntl(fd, F_SETFL, O_NONBLOCK);
    len = read(fd, buffer, sizeof buffer);
    fcntl(fd, F_SETFL, 0);
    if (len < 0) {
        printf("%s: %s\n", what, strerror(errno));
        return;
    }
    printf("%s:", what);
    for (ssize_t i = 0; i < len; i++)
        printf(buffer[i] >= ' ' && buffer[i] < 127 ? "%c" : "\\%03o", buffer[i] & 255);
    printf("\n");
}

static void put(int fd, const char *text)
{
    CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    if (fd == master)
        sleep_ms(5); /* Linux hands it over by a work queue */
}

static void test_canonical(void)
{
    int count;

    open_pair();
    put(master, "hello");
    show("no line yet", slave);
    show("echo", master);
    put(master, "x\177y\n");
    show("line", slave);
    show("echo", master);
    put(master, "one two\027three\n");
    show("word erased", slave);
    show("echo", master);
    put(master, "kill me\025kept\n");
    show("line killed", slave);
    show("echo", master);
    put(master, "tab\there\177\177\177\177\177\n");
    show("tab erased", slave);
    show("echo", master);
    put(master, "\026\003quoted\n");
    show("quoted", slave);
    show("echo", master);
    put(master, "half\004");
    show("end of file after text", slave);
    put(master, "\004");
    CHECK(read(slave, &count, 1) == 0);
    show("echo", master);
    put(master, "a\rb\nc");
    CHECK(!ioctl(slave, FIONREAD, &count));
    printf("waiting: %d\n", count);
    show("first of two lines", slave);
    show("second", slave);
    show("echo", master);
    put(slave, "a\nb\tc\n");
    show("output", master);
    close_pair();
}

static void test_short_reads(void)
{
    char buffer[16];

    open_pair();
    put(master, "abcdef\nsecond\n");
    CHECK(read(slave, buffer, 3) == 3 && !memcmp(buffer, "abc", 3));
    CHECK(read(slave, buffer, 16) == 4 && !memcmp(buffer, "def\n", 4));
    CHECK(read(slave, buffer, 16) == 7);
    close_pair();
}

static void set_raw(int min, int time)
{
    struct termios settings;

    CHECK(!tcgetattr(slave, &settings));
    cfmakeraw(&settings);
    settings.c_cc[VMIN] = (cc_t)min;
    settings.c_cc[VTIME] = (cc_t)time;
    CHECK(!tcsetattr(slave, TCSANOW, &settings));
}

static void test_raw(void)
{
    char buffer[16];
    struct pollfd poll_slave;
    int64_t start;

    open_pair();
    set_raw(1, 0);
    put(master, "a\003\r\n\177");
    show("raw", slave);
    show("no echo", master);
    put(slave, "x\n");
    show("raw output", master);
    set_raw(0, 0);
    CHECK(read(slave, buffer, 16) == 0);
    set_raw(0, 2);
    start = now_ns();
    CHECK(read(slave, buffer, 16) == 0 && now_ns() - start >= 180000000);
    set_raw(3, 0);
    put(master, "ab");
    poll_slave = (struct pollfd){ .fd = slave, .events = POLLIN };
    CHECK(poll(&poll_slave, 1, 50) == 0);
    put(master, "c");
    CHECK(poll(&poll_slave, 1, 1000) == 1 && read(slave, buffer, 16) == 3);
    set_raw(5, 1);
    put(master, "xy");
    CHECK(read(slave, buffer, 16) == 2);
    close_pair();
}

static volatile sig_atomic_t caught[65];

static void catch (int signo)
{
    caught[signo]++;
}

/* Who cannot wait for VMIN characters gets those that are there. */
static void test_raw_partial(void)
{
    const struct itimerval often = { { 0, 10000 }, { 0, 10000 } }, never = { { 0, 0 }, { 0, 0 } };
    struct sigaction action = { .sa_handler = catch, .sa_flags = SA_RESTART }, before;
    char buffer[16];

    open_pair();
    set_raw(3, 0);
    CHECK(!fcntl(slave, F_SETFL, O_RDWR | O_NONBLOCK));
    CHECK_ERRNO(read(slave, buffer, 16), EAGAIN);
    put(master, "ab");
    CHECK(read(slave, buffer, 16) == 2 && !memcmp(buffer, "ab", 2));
    CHECK_ERRNO(read(slave, buffer, 16), EAGAIN);
    put(master, "abcd");
    CHECK(read(slave, buffer, 1) == 1 && read(slave, buffer, 16) == 3);
    CHECK(!fcntl(slave, F_SETFL, O_RDWR));
    put(master, "cd");
    CHECK(!sigaction(SIGALRM, &action, &before) && !setitimer(ITIMER_REAL, &often, NULL));
    CHECK(read(slave, buffer, 16) == 2 && !memcmp(buffer, "cd", 2));
    CHECK(!setitimer(ITIMER_REAL, &never, NULL) && !sigaction(SIGALRM, &before, NULL));
    close_pair();
}

static void test_settings(void)
{
    struct termios before, after;
    struct winsize size = { .ws_row = 30, .ws_col = 100 }, got;

    open_pair();
    CHECK(!tcgetattr(slave, &before));
    printf("flags %o %o %o %o\n", before.c_iflag & ~IUTF8, before.c_oflag, before.c_cflag & ~CBAUD,
           before.c_lflag);
    before.c_lflag &= ~ECHO;
    CHECK(!tcsetattr(slave, TCSAFLUSH, &before) && !tcgetattr(master, &after));
    CHECK(!(after.c_lflag & ECHO));
    put(master, "silent\n");
    show("no echo", master);
    show("line", slave);
    CHECK(!ioctl(master, TIOCSWINSZ, &size) && !ioctl(slave, TIOCGWINSZ, &got));
    CHECK(got.ws_row == 30 && got.ws_col == 100);
    put(master, "dropped\n");
    CHECK(!tcflush(slave, TCIFLUSH));
    show("flushed", slave);
    CHECK_ERRNO(ioctl(slave, 0x54ff, 0), ENOTTY);
    close_pair();
}

/* struct termio of System V: 16 bits of each flag, 8 control characters. */
static void test_old_settings(void)
{
    struct {
        unsigned short iflag, oflag, cflag, lflag;
        unsigned char line, cc[8];
    } old;
    struct termios now;

    open_pair();
    CHECK(!ioctl(slave, TCGETA, &old) && !tcgetattr(slave, &now));
    CHECK(old.lflag == (unsigned short)now.c_lflag && !memcmp(old.cc, now.c_cc, 8));
    old.lflag &= (unsigned short)~(ICANON | ECHO);
    old.cc[VINTR] = 'q';
    CHECK(!ioctl(slave, TCSETAW, &old) && !tcgetattr(slave, &now));
    CHECK(!(now.c_lflag & (ICANON | ECHO)) && (now.c_lflag & IEXTEN) && now.c_cc[VINTR] == 'q');
    CHECK(!ioctl(slave, TCSETA, &old) && !ioctl(slave, TCSETAF, &old));
    CHECK_ERRNO(ioctl(slave, TCGETA, 1), EFAULT);
    CHECK_ERRNO(ioctl(slave, TCSETA, 1), EFAULT);
    close_pair();
}

/* What is locked stays as it is, whoever changes the settings and however. */
static void test_locked_settings(void)
{
    struct termios was, now, locked;

    open_pair();
    NEED(!tcgetattr(slave, &was));
    CHECK(!ioctl(slave, TIOCGLCKTRMIOS, &locked) && !locked.c_lflag && !locked.c_cc[VINTR]);
    memset(&locked, 0, sizeof locked);
    locked.c_lflag = ECHO;
    locked.c_cc[VINTR] = 1;
    CHECK(!ioctl(slave, TIOCSLCKTRMIOS, &locked));
    memset(&locked, 0, sizeof locked);
    CHECK(!ioctl(slave, TIOCGLCKTRMIOS, &locked) && locked.c_lflag == ECHO &&
          locked.c_cc[VINTR] == 1);
    now = was;
    now.c_lflag &= ~(tcflag_t)(ECHO | ICANON);
    now.c_cc[VINTR] = 'q';
    now.c_cc[VKILL] = 'k';
    CHECK(!tcsetattr(slave, TCSANOW, &now) && !tcgetattr(slave, &now));
    CHECK((now.c_lflag & ECHO) && !(now.c_lflag & ICANON) && now.c_cc[VINTR] == was.c_cc[VINTR] &&
          now.c_cc[VKILL] == 'k');
    CHECK_ERRNO(ioctl(slave, TIOCGLCKTRMIOS, 1), EFAULT);
    CHECK_ERRNO(ioctl(slave, TIOCSLCKTRMIOS, 1), EFAULT);
    pid_t pid = fork();
    if (pid == 0) {
        NEED(!setuid(65534));
        CHECK_ERRNO(ioctl(slave, TIOCSLCKTRMIOS, &locked), EPERM);
        _exit(0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    close_pair();
}

static void test_mode_change(void)
{
    open_pair();
    put(master, "partial");
    set_raw(1, 0);
    show("readable in raw mode", slave);
    close_pair();
}

/* ---- Sessions ---------------------------------------------------------------------- */

static void child_session(int ready)
{
    struct winsize size;
    char c = 'r';

    signal(SIGINT, catch);
    signal(SIGWINCH, catch);
    signal(SIGHUP, catch);
    close(master);
    if (setsid() != getpid() || ioctl(slave, TIOCSCTTY, 0))
        _exit(1);
    int tty = open("/dev/tty", O_RDWR);
    if (tty < 0 || tcgetpgrp(tty) != getpgrp() || tcgetsid(tty) != getsid(0))
        _exit(2);
    if (close(open("/dev/tty", O_RDWR)))
        _exit(2);
    if (write(ready, &c, 1) != 1)
        _exit(3);
    while (!caught[SIGINT])
        usleep(1000);
    if (write(ready, &c, 1) != 1)
        _exit(3);
    while (!caught[SIGWINCH])
        usleep(1000);
    if (ioctl(tty, TIOCGWINSZ, &size) || size.ws_row != 7 || write(ready, &c, 1) != 1)
        _exit(4);
    while (!caught[SIGHUP])
        usleep(1000);
    if (read(slave, &c, 1) != 0)
        _exit(5);
    if (write(slave, &c, 1) != -1 || errno != EIO)
        _exit(6);
    _exit(42);
}

static void test_session(void)
{
    struct winsize size = { .ws_row = 7, .ws_col = 7 };
    int pipe_ends[2], status;
    char c;

    open_pair();
    NEED(!pipe(pipe_ends));
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        child_session(pipe_ends[1]);
    close(slave);
    NEED(read(pipe_ends[0], &c, 1) == 1);
    /* One more /dev/tty was opened and closed: the child's terminal is still open. */
    CHECK(poll(&(struct pollfd){ .fd = master, .events = POLLIN }, 1, 0) == 0);
    put(master, "typed\003");
    CHECK(read(pipe_ends[0], &c, 1) == 1);
    show("interrupt echo", master);
    CHECK(!ioctl(master, TIOCSWINSZ, &size));
    CHECK(read(pipe_ends[0], &c, 1) == 1);
    close(master);
    CHECK(waitpid(child, &status, 0) == child);
    printf("session child %d\n", WEXITSTATUS(status));
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

static void test_background(void)
{
    int status;
    char c;

    open_pair();
    fflush(stdout);
    pid_t leader = fork();
    if (leader == 0) {
        close(master);
        setsid();
        ioctl(slave, TIOCSCTTY, 0);
        pid_t child = fork();
        if (child == 0) {
            setpgid(0, 0);
            _exit(read(slave, &c, 1) == 1); /* stopped by SIGTTIN */
        }
        if (waitpid(child, &status, WUNTRACED) != child || !WIFSTOPPED(status) ||
            WSTOPSIG(status) != SIGTTIN)
            _exit(1);
        signal(SIGTTOU, SIG_IGN);
        if (tcsetpgrp(slave, child) || tcgetpgrp(slave) != child)
            _exit(2);
        kill(child, SIGCONT);
        if (write(slave, "go", 2) != 2 || waitpid(child, &status, 0) != child)
            _exit(3);
        _exit(WEXITSTATUS(status) == 1 ? 42 : 4);
    }
    close(slave);
    CHECK(read(master, &c, 1) == 1 && c == 'g');
    put(master, "k\n");
    CHECK(waitpid(leader, &status, 0) == leader);
    printf("background child %d\n", WEXITSTATUS(status));
    close(master);
}

/* ---- The master's view ------------------------------------------------------------------ */

static void *write_much(void *arg)
{
    static char block[100000];

    (void)arg;
    memset(block, 'm', sizeof block);
    CHECK(write(slave, block, sizeof block) == sizeof block);
    return NULL;
}

static void test_master(void)
{
    struct pollfd poll_master;
    char buffer[4096];
    pthread_t thread;
    size_t total = 0;

    open_pair();
    poll_master = (struct pollfd){ .fd = master, .events = POLLIN | POLLOUT };
    CHECK(poll(&poll_master, 1, 0) == 1 && poll_master.revents == POLLOUT);
    set_raw(1, 0);
    NEED(!pthread_create(&thread, NULL, write_much, NULL));
    while (total < 100000) {
        ssize_t len = read(master, buffer, sizeof buffer);
        NEED(len > 0);
        total += (size_t)len;
    }
    pthread_join(thread, NULL);
    put(slave, "last words");
    close(slave);
    CHECK(poll(&poll_master, 1, 0) == 1 && poll_master.revents & POLLHUP);
    CHECK(read(master, buffer, sizeof buffer) == 10);
    CHECK_ERRNO(read(master, buffer, 1), EIO);
    close(master);
    CHECK(access(slave_name, F_OK));
}

/* The slave is open as long as one of its files is, /dev/tty too. */
static void test_own_name(void)
{
    int ends[2], told[2], status;
    char byte;

    open_pair();
    NEED(!pipe(ends) && !pipe(told));
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        close(master);
        int ok = setsid() > 0 && !ioctl(slave, TIOCSCTTY, 0);
        int own = open("/dev/tty", O_RDWR), again = open("/dev/tty", O_RDWR);
        ok = ok && own >= 0 && again >= 0 && !close(own);
        (void)!write(ends[1], ok ? "y" : "n", 1);
        (void)!read(told[0], &byte, 1);
        close(slave);
        (void)!write(ends[1], "s", 1);
        (void)!read(told[0], &byte, 1);
        _exit(write(again, "last", 4) != 4);
    }
    close(slave);
    slave = -1;
    CHECK(read(ends[0], &byte, 1) == 1 && byte == 'y');
    struct pollfd item = { .fd = master, .events = POLLIN };
    CHECK(poll(&item, 1, 0) == 0);
    show("one name closed", master);
    CHECK(write(told[1], "c", 1) == 1);
    CHECK(read(ends[0], &byte, 1) == 1 && byte == 's');
    CHECK(poll(&item, 1, 0) == 0);
    CHECK(write(told[1], "e", 1) == 1);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    show("the other name", master);
    CHECK(poll(&item, 1, 1000) == 1 && item.revents == POLLHUP);
    show("all closed", master);
    close(ends[0]);
    close(ends[1]);
    close(told[0]);
    close(told[1]);
    close_pair();
}

static void test_locked(void)
{
    int number, lock = 1;
    struct stat status;

    NEED((master = open("/dev/ptmx", O_RDWR | O_NOCTTY)) >= 0);
    CHECK(!ioctl(master, TIOCGPTN, &number) && !ioctl(master, TIOCSPTLCK, &lock));
    snprintf(slave_name, sizeof slave_name, "/dev/pts/%d", number);
    CHECK_ERRNO(open(slave_name, O_RDWR), EIO);
    CHECK(!stat(slave_name, &status) && S_ISCHR(status.st_mode));
    CHECK(status.st_rdev >> 8 == 136);
    close(master);
}

int main(void)
{
    test_canonical();
    test_short_reads();
    test_raw();
    test_raw_partial();
    test_settings();
    test_old_settings();
    test_locked_settings();
    test_mode_change();
    test_session();
    test_background();
    test_master();
    test_own_name();
    test_locked();
    return check_end();
}
