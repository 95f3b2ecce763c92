// SPDX-License-Identifier: MIT
/*
 * Capabilities and credentials: capset's rules, the bounding and ambient sets, securebits and their locks, what
 * changes of user ids and execve do to them; and what prctl keeps for a thread.
 * test: flags=-pthread
 */
#include "check.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define SOMEBODY 1234
#define BIT(n)   (1ULL << (n))

#define NET   BIT(CAP_NET_RAW)
#define OWN   BIT(CAP_CHOWN)
#define PCAP  BIT(CAP_SETPCAP)
#define FILES BIT(CAP_FOWNER)

struct sets {
    uint64_t effective, permitted, inheritable;
};

static const char *self;

static struct sets get(void)
{
    struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct data[2];

    NEED(syscall(SYS_capget, &header, data) == 0);
    return (struct sets){
        data[0].effective | (uint64_t)data[1].effective << 32,
        data[0].permitted | (uint64_t)data[1].permitted << 32,
        data[0].inheritable | (uint64_t)data[1].inheritable << 32,
    };
}

static int set(uint64_t effective, uint64_t permitted, uint64_t inheritable)
{
    struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct data[2] = {
        { (uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable },
        { (uint32_t)(effective >> 32), (uint32_t)(permitted >> 32), (uint32_t)(inheritable >> 32) },
    };

    return (int)syscall(SYS_capset, &header, data);
}

static bool is(uint64_t effective, uint64_t permitted, uint64_t inheritable)
{
    struct sets now = get();

    if (now.effective == effective && now.permitted == permitted && now.inheritable == inheritable)
        return true;
    printf("e %llx p %llx i %llx\n", (unsigned long long)now.effective,
           (unsigned long long)now.permitted, (unsigned long long)now.inheritable);
    return false;
}

static int ambient(int operation, int capability)
{
    return prctl(PR_CAP_AMBIENT, operation, capability, 0, 0);
}

/* Each case in a child of its own, since most of it cannot be taken back. */
static void in_child(const char *name, void (*body)(void))
{
    int status;

    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        body();
        fflush(stdout);
        _exit(check_failures);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    if (status)
        printf("%s: status %x\n", name, status);
    CHECK(status == 0);
}

/* What the sets are after execve: a child prints those of the interesting capabilities. */
static void show_after_exec(const char *name)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        execl(self, self, name, NULL);
        _exit(1);
    }
    waitpid(pid, NULL, 0);
}

static void show(const char *name)
{
    const uint64_t some = NET | OWN | PCAP | FILES;
    struct sets now = get();

    printf("%s: e %llx p %llx i %llx ambient %d uid %d %d secure %x dumpable %d\n", name,
           (unsigned long long)(now.effective & some), (unsigned long long)(now.permitted & some),
           (unsigned long long)(now.inheritable & some),
           ambient(PR_CAP_AMBIENT_IS_SET, CAP_NET_RAW), getuid(), geteuid(),
           prctl(PR_GET_SECUREBITS), prctl(PR_GET_DUMPABLE));
}

/* ---- Rules ------------------------------------------------------------------------------- */

static void test_capset(void)
{
    CHECK(set(NET, NET | OWN | PCAP, NET) == 0 && is(NET, NET | OWN | PCAP, NET));
    CHECK_ERRNO(set(NET, NET | FILES, NET), EPERM); /* not permitted any more */
    CHECK_ERRNO(set(FILES, NET, NET), EPERM);
    CHECK_ERRNO(set(NET, NET | OWN, FILES), EPERM); /* inheritable: of permitted, without SETPCAP */
    CHECK(set(NET, NET | OWN | PCAP, NET | OWN) == 0);
    CHECK(set(NET | PCAP, NET | OWN | PCAP, 0) == 0);
    CHECK(set(PCAP, PCAP, FILES) == 0); /* with it: of the bounding set */
    CHECK(prctl(PR_CAPBSET_DROP, CAP_NET_RAW) == 0);
    CHECK_ERRNO(set(PCAP, PCAP, NET | FILES), EPERM);
    CHECK(set(0, PCAP, FILES) == 0);
    CHECK_ERRNO(prctl(PR_CAPBSET_DROP, CAP_CHOWN), EPERM);
    struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, getppid() };
    struct __user_cap_data_struct data[2] = { 0 };
    CHECK_ERRNO(syscall(SYS_capset, &header, data), EPERM);
}

static void test_inheritable_bound(void)
{
    /* Permitted, but not in the bounding set: not to be made inheritable, SETPCAP or not. */
    CHECK(prctl(PR_CAPBSET_READ, CAP_NET_RAW) == 1 && prctl(PR_CAPBSET_DROP, CAP_NET_RAW) == 0);
    CHECK(prctl(PR_CAPBSET_READ, CAP_NET_RAW) == 0);
    CHECK_ERRNO(prctl(PR_CAPBSET_READ, 64), EINVAL);
    CHECK(set(NET, NET, 0) == 0);
    CHECK_ERRNO(set(NET, NET, NET), EPERM);
}

static void test_ambient(void)
{
    CHECK_ERRNO(ambient(PR_CAP_AMBIENT_RAISE, CAP_NET_RAW), EPERM); /* not inheritable */
    CHECK(set(NET | OWN | PCAP | BIT(CAP_SETUID), NET | OWN | PCAP | BIT(CAP_SETUID), NET) == 0);
    CHECK(ambient(PR_CAP_AMBIENT_RAISE, CAP_NET_RAW) == 0);
    CHECK(ambient(PR_CAP_AMBIENT_IS_SET, CAP_NET_RAW) == 1);
    CHECK_ERRNO(ambient(PR_CAP_AMBIENT_RAISE, CAP_CHOWN), EPERM);
    CHECK_ERRNO(ambient(PR_CAP_AMBIENT_RAISE, 64), EINVAL);
    CHECK_ERRNO(ambient(99, CAP_CHOWN), EINVAL);
    CHECK_ERRNO(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 1, 0, 0), EINVAL);
    show_after_exec("root with ambient");
    CHECK(prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS) == 0 &&
          setresuid(SOMEBODY, SOMEBODY, SOMEBODY) == 0);
    /* Leaving root took it away, KEEP_CAPS or not. */
    CHECK(ambient(PR_CAP_AMBIENT_IS_SET, CAP_NET_RAW) == 0);
    CHECK(is(0, NET | OWN | PCAP | BIT(CAP_SETUID), NET));
    CHECK(ambient(PR_CAP_AMBIENT_RAISE, CAP_NET_RAW) == 0);
    show_after_exec("somebody with ambient");
    CHECK(set(NET, NET, 0) == 0 && ambient(PR_CAP_AMBIENT_IS_SET, CAP_NET_RAW) == 0);
    show_after_exec("somebody without");
}

static void test_set_id(void)
{
    CHECK(set(get().permitted, get().permitted, NET) == 0);
    CHECK(prctl(PR_SET_KEEPCAPS, 1) == 0 && setresuid(SOMEBODY, SOMEBODY, SOMEBODY) == 0);
    CHECK(set(get().permitted, get().permitted, NET) == 0);
    CHECK(ambient(PR_CAP_AMBIENT_RAISE, CAP_NET_RAW) == 0);
    /* A process that changed its ids keeps the ambient set in what it executes. */
    CHECK(setresuid(SOMEBODY, SOMEBODY + 1, SOMEBODY) == 0);
    show_after_exec("other effective id");
}

static void test_securebits(void)
{
    CHECK_ERRNO(prctl(PR_SET_SECUREBITS, 0x1000), EPERM);
    CHECK(prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE) == 0);
    CHECK_ERRNO(prctl(PR_SET_KEEPCAPS, 1), EPERM);
    CHECK_ERRNO(prctl(PR_SET_KEEPCAPS, 2), EINVAL);
    CHECK_ERRNO(prctl(PR_SET_SECUREBITS, 0), EPERM); /* a lock stays */
    CHECK_ERRNO(prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS_LOCKED | SECBIT_KEEP_CAPS), EPERM);
    CHECK(prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS_LOCKED | SECBIT_NOROOT) == 0);
    CHECK(prctl(PR_GET_SECUREBITS) == (SECBIT_KEEP_CAPS_LOCKED | SECBIT_NOROOT));
    CHECK(set(get().permitted, get().permitted, NET) == 0);
    CHECK(ambient(PR_CAP_AMBIENT_RAISE, CAP_NET_RAW) == 0);
    show_after_exec("NOROOT");
    CHECK(prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE) == 0);
    CHECK_ERRNO(ambient(PR_CAP_AMBIENT_RAISE, CAP_NET_RAW), EPERM);
    CHECK(set(0, get().permitted, 0) == 0);
    CHECK_ERRNO(prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS_LOCKED), EPERM);
}

static void test_no_fixup(void)
{
    uint64_t all = get().permitted;

    CHECK(prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) == 0);
    CHECK(setresuid(SOMEBODY, SOMEBODY, 0) == 0 && is(all, all, get().inheritable));
    CHECK(setresuid(-1, -1, SOMEBODY) == 0 && is(all, all, get().inheritable));
}

static void test_user_ids(void)
{
    uint64_t all = get().permitted;

    CHECK(seteuid(SOMEBODY) == 0 && is(0, all, get().inheritable));
    CHECK(seteuid(0) == 0 && is(all, all, get().inheritable));
    CHECK(setreuid(SOMEBODY, 0) == 0 && is(all, all, get().inheritable));
    show_after_exec("real somebody");
    CHECK(setreuid(0, SOMEBODY) == 0);
    show_after_exec("real root");
    CHECK(setresuid(SOMEBODY, SOMEBODY, SOMEBODY) == 0 && is(0, 0, get().inheritable));
    CHECK_ERRNO(setuid(0), EPERM);
}

static void test_file_user(void)
{
    uint64_t all = get().permitted;
    const uint64_t files = BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_DAC_READ_SEARCH) |
                           BIT(CAP_FOWNER) | BIT(CAP_FSETID) | BIT(CAP_LINUX_IMMUTABLE) |
                           BIT(CAP_MKNOD) | BIT(CAP_MAC_OVERRIDE);

    close(open("secret", O_RDWR | O_CREAT, 0600));
    CHECK(setfsuid(SOMEBODY) == 0 && is(all & ~files, all, get().inheritable));
    CHECK_ERRNO(open("secret", O_RDONLY), EACCES);
    CHECK(setfsuid(0) == SOMEBODY && is(all, all, get().inheritable));
    CHECK(open("secret", O_RDONLY) >= 0);
}

static void test_no_new_privileges(void)
{
    CHECK(set(NET, NET, 0) == 0);
    show_after_exec("root regains");
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    show_after_exec("without new privileges");
}

static void test_no_new_ids(void)
{
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && setreuid(SOMEBODY, 0) == 0);
    show_after_exec("ids without new privileges");
}

/* ---- Who may look ------------------------------------------------------------------------ */

static int dumpable(void)
{
    int signal = -1;

    CHECK(prctl(PR_GET_PDEATHSIG, &signal) == 0);
    CHECK(signal == (prctl(PR_GET_DUMPABLE) ? SIGWINCH : 0));
    return prctl(PR_GET_DUMPABLE);
}

static void dumpable_again(void)
{
    CHECK(dumpable() == 0);
    CHECK(prctl(PR_SET_DUMPABLE, 1) == 0 && prctl(PR_SET_PDEATHSIG, SIGWINCH) == 0);
}

/* Who becomes somebody else is no longer for those who could look before. */
static void test_dumpable(void)
{
    uint64_t all = get().permitted;

    CHECK(prctl(PR_SET_PDEATHSIG, SIGWINCH) == 0 && dumpable() == 1);
    CHECK(setresuid(SOMEBODY, -1, -1) == 0 && setresgid(SOMEBODY, -1, -1) == 0 && dumpable() == 1);
    CHECK(set(all & ~NET, all & ~NET, 0) == 0 && dumpable() == 1);
    CHECK(set(PCAP, all & ~NET, 0) == 0 && set(all & ~NET, all & ~NET, 0) == 0 && dumpable() == 1);
    CHECK(setfsgid(SOMEBODY) == 0);
    dumpable_again();
    CHECK(setfsuid(SOMEBODY) == 0);
    dumpable_again();
    CHECK(setegid(SOMEBODY) == 0);
    dumpable_again();
    CHECK(seteuid(SOMEBODY) == 0);
    dumpable_again();
    CHECK(setresuid(SOMEBODY, SOMEBODY, SOMEBODY) == 0 && dumpable() == 1);
    CHECK(prctl(PR_SET_DUMPABLE, 0) == 0);
    show_after_exec("dumpable after execve");
}

static uid_t owner_of(const char *name)
{
    struct stat info;

    CHECK(stat(name, &info) == 0);
    return info.st_uid;
}

/* What only its user may see of it is root's, while it is not dumpable. */
static void test_owner(void)
{
    CHECK(owner_of("/proc/self/environ") == 0 && owner_of("/proc/self/fd") == 0);
    CHECK(setresgid(SOMEBODY, SOMEBODY, SOMEBODY) == 0);
    CHECK(setresuid(SOMEBODY, SOMEBODY, SOMEBODY) == 0);
    CHECK(owner_of("/proc/self/") == SOMEBODY && owner_of("/proc/self/task") == SOMEBODY);
    CHECK(owner_of("/proc/self/environ") == 0 && owner_of("/proc/self/fd") == 0);
    CHECK_ERRNO(open("/proc/self/environ", O_RDONLY), EACCES);
    CHECK_ERRNO(open("/proc/self/comm", O_WRONLY), EACCES);
    CHECK(open("/proc/self/status", O_RDONLY) >= 0);
    CHECK(open("/proc/self/fd", O_RDONLY) >= 0 && access("/proc/self/fd/1", F_OK) == 0);
    CHECK(prctl(PR_SET_DUMPABLE, 1) == 0);
    CHECK(owner_of("/proc/self/environ") == SOMEBODY && owner_of("/proc/self/fd") == SOMEBODY);
    CHECK(open("/proc/self/environ", O_RDONLY) >= 0 && open("/proc/self/comm", O_WRONLY) >= 0);
}

static void test_not_dumpable_after_exec(void)
{
    CHECK(setresuid(SOMEBODY, 0, 0) == 0);
    show_after_exec("other real user");
}

/* The change of the user succeeds, and what it executes is too much. */
static void test_process_limit(void)
{
    struct rlimit limit, none;
    int ready[2];
    char byte;

    CHECK(getrlimit(RLIMIT_NPROC, &limit) == 0 && pipe(ready) == 0);
    pid_t other = fork();
    if (other == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (!setresuid(SOMEBODY, SOMEBODY, SOMEBODY) && write(ready[1], "r", 1) == 1)
            pause();
        _exit(1);
    }
    CHECK(read(ready[0], &byte, 1) == 1);
    none = limit;
    none.rlim_cur = 0;
    CHECK(setrlimit(RLIMIT_NPROC, &none) == 0 && setresuid(SOMEBODY, SOMEBODY, SOMEBODY) == 0);
    CHECK_ERRNO(execl(self, self, "too many", NULL), EAGAIN);
    CHECK_ERRNO(execl(self, self, "too many", NULL), EAGAIN);
    kill(other, SIGKILL);
    CHECK(waitpid(other, NULL, 0) == other);
    CHECK_ERRNO(execl(self, self, "too many", NULL), EAGAIN); /* it is one too many itself */
    CHECK(setrlimit(RLIMIT_NPROC, &limit) == 0);
    fflush(stdout);
    execl(self, self, "enough", NULL);
    CHECK(false);
}

/* ---- What is kept for a thread ----------------------------------------------------------- */

static void *thread_body(void *arg)
{
    (void)arg;
    CHECK(prctl(PR_GET_TIMERSLACK) == 4711 && prctl(PR_SET_TIMERSLACK, 5) == 0);
    CHECK(prctl(PR_SET_TIMERSLACK, 0) == 0 && prctl(PR_GET_TIMERSLACK) == 4711);
    CHECK(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0) == PR_MCE_KILL_EARLY);
    CHECK(prctl(PR_MCE_KILL, PR_MCE_KILL_CLEAR, 0, 0, 0) == 0);
    return NULL;
}

static void test_kept(void)
{
    pthread_t thread;

    printf("slack %d\n", prctl(PR_GET_TIMERSLACK));
    CHECK(prctl(PR_SET_TIMERSLACK, 4711) == 0 && prctl(PR_GET_TIMERSLACK) == 4711);
    CHECK(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0) == PR_MCE_KILL_DEFAULT);
    CHECK_ERRNO(prctl(PR_MCE_KILL_GET, 1, 0, 0, 0), EINVAL);
    CHECK_ERRNO(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, 3, 0, 0), EINVAL);
    CHECK_ERRNO(prctl(PR_MCE_KILL, PR_MCE_KILL_CLEAR, 1, 0, 0), EINVAL);
    CHECK_ERRNO(prctl(PR_MCE_KILL, 2, 0, 0, 0), EINVAL);
    CHECK_ERRNO(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 1, 0), EINVAL);
    CHECK(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0) == 0);
    CHECK(!pthread_create(&thread, NULL, thread_body, NULL) && !pthread_join(thread, NULL));
    CHECK(prctl(PR_GET_TIMERSLACK) == 4711);
    CHECK(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0) == PR_MCE_KILL_EARLY);
    CHECK(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_LATE, 0, 0) == 0);
    CHECK(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0) == PR_MCE_KILL_LATE);
    CHECK_ERRNO(prctl(PR_GET_SPECULATION_CTRL, 99, 0, 0, 0), ENODEV);
    CHECK_ERRNO(prctl(PR_GET_SPECULATION_CTRL, 0, 1, 0, 0), EINVAL);
    CHECK_ERRNO(prctl(PR_SET_SPECULATION_CTRL, 99, 0, 0, 0), ENODEV);
    CHECK_ERRNO(prctl(PR_SET_SPECULATION_CTRL, 0, 0, 1, 0), EINVAL);
    CHECK(prctl(PR_GET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS, 0, 0, 0) >= 0);
}

int main(int argc, char **argv)
{
    self = argv[0];
    if (argc > 1) {
        show(argv[1]);
        return 0;
    }
    in_child("capset", test_capset);
    in_child("inheritable and bound", test_inheritable_bound);
    in_child("ambient", test_ambient);
    in_child("set-id", test_set_id);
    in_child("securebits", test_securebits);
    in_child("no fixup", test_no_fixup);
    in_child("user ids", test_user_ids);
    in_child("file user", test_file_user);
    in_child("no new privileges", test_no_new_privileges);
    in_child("no new ids", test_no_new_ids);
    in_child("dumpable", test_dumpable);
    in_child("owner", test_owner);
    in_child("not dumpable", test_not_dumpable_after_exec);
    in_child("process limit", test_process_limit);
    in_child("kept", test_kept);
    return check_end();
}
