// SPDX-License-Identifier: MIT
/*
 * SIGCHLD with all it tells, SA_NOCLDSTOP and SA_NOCLDWAIT, stopping and continuing as waitid sees it, and who may
 * queue a signal with which siginfo.
 * test: variants=dynamic cpus=2 timeout=40
 */
#include "check.h"

#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static volatile int nchild, last_code, last_status, last_pid, last_uid;

static void on_child(int number, siginfo_t *info, void *context)
{
    (void)context;
    if (number != SIGCHLD)
        return;
    last_code = info->si_code;
    last_status = info->si_status;
    last_pid = info->si_pid;
    last_uid = (int)info->si_uid;
    nchild++;
}

static void install(int flags)
{
    struct sigaction action = { .sa_sigaction = on_child, .sa_flags = SA_SIGINFO | flags };

    NEED(!sigaction(SIGCHLD, &action, NULL));
}

static bool heard(int count)
{
    for (int i = 0; i < 500 && nchild < count; i++)
        sleep_ms(2);
    return nchild == count;
}

static pid_t sleeper(void)
{
    pid_t pid = fork();

    if (pid == 0)
        for (;;)
            pause();
    return pid;
}

static void test_codes(void)
{
    int status;

    install(SA_RESTART);
    pid_t pid = fork();
    if (pid == 0)
        _exit(7);
    CHECK(heard(1) && last_code == CLD_EXITED && last_status == 7 && last_pid == pid);
    CHECK(waitpid(pid, &status, 0) == pid);
    pid = sleeper();
    kill(pid, SIGTERM);
    CHECK(heard(2) && last_code == CLD_KILLED && last_status == SIGTERM &&
          last_uid == (int)getuid());
    CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    pid = sleeper();
    kill(pid, SIGSTOP);
    CHECK(heard(3) && last_code == CLD_STOPPED && last_status == SIGSTOP);
    kill(pid, SIGCONT);
    CHECK(heard(4) && last_code == CLD_CONTINUED && last_status == SIGCONT);
    kill(pid, SIGKILL);
    CHECK(heard(5) && last_code == CLD_KILLED && last_status == SIGKILL);
    CHECK(waitpid(pid, &status, 0) == pid);
}

static int wait_for(pid_t pid, siginfo_t *info, int options)
{
    memset(info, 0, sizeof *info);
    return waitid(P_PID, (id_t)pid, info, options);
}

static void test_stop(void)
{
    siginfo_t info;
    int status;
    pid_t pid = sleeper();

    CHECK(!wait_for(pid, &info, WSTOPPED | WNOHANG) && info.si_pid == 0);
    kill(pid, SIGSTOP);
    CHECK(!wait_for(pid, &info, WSTOPPED | WNOWAIT) && info.si_pid == pid);
    CHECK(!wait_for(pid, &info, WSTOPPED) && info.si_code == CLD_STOPPED &&
          info.si_status == SIGSTOP);
    CHECK(!wait_for(pid, &info, WSTOPPED | WNOHANG) && info.si_pid == 0); /* told once */
    kill(pid, SIGTERM); /* waits until it is continued */
    sleep_ms(20);
    CHECK(!wait_for(pid, &info, WEXITED | WNOHANG) && info.si_pid == 0);
    CHECK(!wait_for(pid, &info, WCONTINUED | WNOHANG) && info.si_pid == 0);
    kill(pid, SIGCONT);
    CHECK(!wait_for(pid, &info, WEXITED) && info.si_code == CLD_KILLED &&
          info.si_status == SIGTERM);
    pid = sleeper();
    kill(pid, SIGSTOP);
    CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status) &&
          WSTOPSIG(status) == SIGSTOP);
    kill(pid, SIGCONT);
    CHECK(waitpid(pid, &status, WCONTINUED) == pid && WIFCONTINUED(status));
    kill(pid, SIGSTOP);
    kill(pid, SIGKILL); /* SIGKILL needs no SIGCONT */
    CHECK(waitpid(pid, &status, 0) == pid && WTERMSIG(status) == SIGKILL);
    CHECK_ERRNO(wait_for(pid, &info, WEXITED), ECHILD);
    CHECK_ERRNO(wait_for(pid, &info, 0), EINVAL);
    CHECK_ERRNO(waitid(9, 0, &info, WEXITED), EINVAL);
}

/* A stop signal of the thread itself is taken before the SIGKILL of its process, but stops nothing any more. */
static void test_stopped_and_killed(void)
{
    pid_t pid = sleeper();
    int status;

    CHECK(!kill(pid, SIGSTOP) && waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
    CHECK(!syscall(SYS_tgkill, pid, pid, SIGSTOP) && !kill(pid, SIGKILL));
    CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSIGNALED(status) &&
          WTERMSIG(status) == SIGKILL);
}

/* SIGCONT discards pending stops and a stop discards a pending SIGCONT, blocked or not. */
static void test_discarded(void)
{
    sigset_t set, pending;

    sigemptyset(&set);
    sigaddset(&set, SIGTSTP);
    sigaddset(&set, SIGCONT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    kill(getpid(), SIGTSTP);
    sigpending(&pending);
    CHECK(sigismember(&pending, SIGTSTP));
    kill(getpid(), SIGCONT);
    sigpending(&pending);
    CHECK(!sigismember(&pending, SIGTSTP) && sigismember(&pending, SIGCONT));
    kill(getpid(), SIGTSTP);
    sigpending(&pending);
    CHECK(sigismember(&pending, SIGTSTP) && !sigismember(&pending, SIGCONT));
    signal(SIGTSTP, SIG_IGN); /* ignoring discards it as well */
    sigpending(&pending);
    CHECK(!sigismember(&pending, SIGTSTP));
    signal(SIGTSTP, SIG_DFL);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    /* An orphaned group does not stop by the terminal's signals. */
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        setsid();
        kill(getpid(), SIGTSTP);
        _exit(3);
    }
    CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 3);
}

static void test_flags(void)
{
    int status;

    nchild = 0;
    install(SA_RESTART | SA_NOCLDSTOP);
    pid_t pid = sleeper();
    kill(pid, SIGSTOP);
    CHECK(waitpid(pid, &status, WUNTRACED) == pid);
    kill(pid, SIGCONT);
    CHECK(waitpid(pid, &status, WCONTINUED) == pid && nchild == 0);
    kill(pid, SIGKILL);
    CHECK(heard(1) && waitpid(pid, &status, 0) == pid);
    install(SA_RESTART | SA_NOCLDWAIT); /* told, but no zombie */
    pid = fork();
    if (pid == 0)
        _exit(0);
    CHECK_ERRNO(waitpid(pid, &status, 0), ECHILD);
    CHECK(heard(2) && last_pid == pid);
    signal(SIGCHLD, SIG_IGN);
    pid = fork();
    if (pid == 0)
        _exit(0);
    CHECK_ERRNO(wait(&status), ECHILD);
    signal(SIGCHLD, SIG_DFL);
}

static long queue_info(pid_t pid, int number, int code)
{
    siginfo_t info;

    memset(&info, 0, sizeof info);
    info.si_code = code;
    info.si_pid = getpid();
    info.si_uid = getuid();
    info.si_value.sival_int = 5;
    return syscall(SYS_rt_sigqueueinfo, pid, number, &info);
}

static long queue_thread(pid_t group, pid_t thread, int number, int code)
{
    siginfo_t info;

    memset(&info, 0, sizeof info);
    info.si_code = code;
    return syscall(SYS_rt_tgsigqueueinfo, group, thread, number, &info);
}

static void test_queue(void)
{
    pid_t other = sleeper(), self = getpid();
    sigset_t set;
    siginfo_t info;
    int status;

    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    /* To others one cannot pretend to be the kernel or kill(). */
    CHECK_ERRNO(queue_info(other, 0, SI_USER), EPERM);
    CHECK_ERRNO(queue_info(other, 0, SI_KERNEL), EPERM);
    CHECK_ERRNO(queue_info(other, 0, SI_TKILL), EPERM);
    CHECK(!queue_info(other, 0, SI_QUEUE) && !queue_info(other, 0, SI_MESGQ));
    CHECK_ERRNO(queue_info(other, 65, SI_QUEUE), EINVAL);
    CHECK_ERRNO(queue_info(0x3fffffff, 0, SI_QUEUE), ESRCH);
    CHECK(!queue_info(self, SIGRTMIN, SI_USER)); /* to oneself one can */
    CHECK(sigwaitinfo(&set, &info) == SIGRTMIN && info.si_code == SI_USER);
    CHECK(info.si_value.sival_int == 5);
    CHECK_ERRNO(queue_thread(other, other, 0, SI_TKILL), EPERM);
    CHECK(!queue_thread(self, self, SIGRTMIN, -77));
    CHECK(sigwaitinfo(&set, &info) == SIGRTMIN && info.si_code == -77);
    CHECK_ERRNO(queue_thread(self, other, SIGRTMIN, -77), ESRCH);
    CHECK_ERRNO(queue_thread(0, self, SIGRTMIN, -77), EINVAL);
    CHECK_ERRNO(syscall(SYS_tkill, 0, SIGRTMIN), EINVAL);
    CHECK_ERRNO(syscall(SYS_tkill, 0x3fffffff, SIGRTMIN), ESRCH);
    /* The queue has a limit, that of RLIMIT_SIGPENDING; then EAGAIN, and kill() still works. */
    struct rlimit limit;
    NEED(!getrlimit(RLIMIT_SIGPENDING, &limit));
    struct rlimit few = { 3, limit.rlim_max };
    NEED(!setrlimit(RLIMIT_SIGPENDING, &few));
    long err = 0;
    for (int i = 0; i < 5 && !err; i++)
        err = queue_info(self, SIGRTMIN, SI_QUEUE) ? errno : 0;
    CHECK(err == EAGAIN && !kill(self, SIGRTMIN));
    NEED(!setrlimit(RLIMIT_SIGPENDING, &limit));
    struct timespec none = { 0, 0 };
    int count = 0;
    while (sigtimedwait(&set, &info, &none) == SIGRTMIN)
        count++;
    CHECK(count >= 1 && count <= 4); /* the limit is the user's, who may have others */
    kill(other, SIGKILL);
    waitpid(other, &status, 0);
}

int main(void)
{
    test_codes();
    test_stop();
    test_stopped_and_killed();
    test_discarded();
    test_flags();
    test_queue();
    return check_end();
}
