// SPDX-License-Identifier: MIT
/*
 * System V shared memory: attach counts over fork, exec, exit, munmap and mremap, removal, permissions, limits.
 * test: flags=-pthread cpus=2 variants=dynamic,musl-static timeout=60
 */
#include "check.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#ifndef SHM_STAT_ANY
#define SHM_STAT_ANY 15
#endif
#ifndef SHM_EXEC
#define SHM_EXEC 0100000
#endif
#define PAGE   4096UL
#define KEY    0x53544f55
#define NOBODY 65534
#define BAD    ((void *)8)

static int make(size_t size)
{
    int id = shmget(IPC_PRIVATE, size, IPC_CREAT | 0600);

    NEED(id >= 0);
    return id;
}

static struct shmid_ds stat_of(int id)
{
    struct shmid_ds status;

    memset(&status, 0x55, sizeof(status));
    CHECK(shmctl(id, IPC_STAT, &status) == 0);
    return status;
}

static long count_of(int id)
{
    return (long)stat_of(id).shm_nattch;
}

static bool is_gone(int id)
{
    struct shmid_ds status;

    return shmctl(id, IPC_STAT, &status) == -1 && errno == EINVAL;
}

static int status_of(pid_t pid)
{
    int status = -1;

    CHECK(waitpid(pid, &status, 0) == pid);
    return status;
}

static void test_get(void)
{
    int id = shmget(KEY, 3 * PAGE, IPC_CREAT | IPC_EXCL | 0640);

    NEED(id >= 0);
    CHECK(shmget(KEY, 3 * PAGE, 0) == id);
    CHECK(shmget(KEY, 0, 0) == id);
    CHECK(shmget(KEY, PAGE, IPC_CREAT | 0600) == id);
    CHECK_ERRNO(shmget(KEY, 3 * PAGE, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
    CHECK_ERRNO(shmget(KEY, 3 * PAGE + 1, 0), EINVAL);
    CHECK_ERRNO(shmget(KEY + 1, PAGE, 0), ENOENT);
    CHECK_ERRNO(shmget(IPC_PRIVATE, 0, IPC_CREAT | 0600), EINVAL);
    CHECK_ERRNO(shmget(IPC_PRIVATE, -1UL, IPC_CREAT | 0600), EINVAL);
    CHECK_ERRNO(shmget(IPC_PRIVATE, 1UL << 46, IPC_CREAT | 0600), ENOMEM);
    CHECK_ERRNO(shmget(IPC_PRIVATE, 4UL << 20, IPC_CREAT | SHM_HUGETLB | 0600), ENOMEM);

    struct shmid_ds status = stat_of(id);
    CHECK(status.shm_segsz == 3 * PAGE && status.shm_nattch == 0);
    CHECK(status.shm_perm.mode == 0640 && status.shm_perm.__key == KEY);
    CHECK(status.shm_perm.uid == geteuid() && status.shm_perm.cuid == geteuid());
    CHECK(status.shm_perm.gid == getegid() && status.shm_perm.cgid == getegid());
    CHECK(status.shm_cpid == getpid() && status.shm_lpid == 0);
    CHECK(status.shm_atime == 0 && status.shm_dtime == 0);
    CHECK(labs(status.shm_ctime - time(NULL)) <= 60);
    CHECK(shmctl(id, IPC_RMID, NULL) == 0);
    CHECK(is_gone(id));
    CHECK_ERRNO(shmctl(id, IPC_RMID, NULL), EINVAL);
    CHECK_ERRNO(shmget(KEY, PAGE, 0), ENOENT);
}

static void test_numbers(void)
{
    int a = make(1), b = make(1);

    CHECK(a != b);
    CHECK(shmctl(a, IPC_RMID, NULL) == 0);
    int c = make(1);
    CHECK(c != a && c != b);
    CHECK_ERRNO(shmat(a, NULL, 0), EINVAL);
    CHECK(shmctl(b, IPC_RMID, NULL) == 0 && shmctl(c, IPC_RMID, NULL) == 0);
    CHECK_ERRNO(shmat(-1, NULL, 0), EINVAL);
    CHECK_ERRNO(shmat(0x7fffffff, NULL, 0), EINVAL);
}

static void test_attach(void)
{
    int id = make(3 * PAGE);
    char *a = shmat(id, NULL, 0), *b = shmat(id, NULL, SHM_RDONLY);

    NEED(a != BAD && (long)a != -1 && (long)b != -1);
    CHECK(count_of(id) == 2);
    for (size_t i = 0; i < 3 * PAGE; i += 512)
        CHECK(a[i] == 0);
    strcpy(a + PAGE, "seen");
    CHECK(!strcmp(b + PAGE, "seen"));
    CHECK_ERRNO(mprotect(b, PAGE, PROT_READ | PROT_WRITE), EACCES);
    CHECK(mprotect(a, 3 * PAGE, PROT_READ) == 0);
    CHECK(mprotect(a, 3 * PAGE, PROT_READ | PROT_WRITE) == 0);
    struct shmid_ds status = stat_of(id);
    CHECK(status.shm_lpid == getpid() && labs(status.shm_atime - time(NULL)) <= 60);
    CHECK(status.shm_dtime == 0);

    /* A place of one's own. */
    char *room = mmap(NULL, 16 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK_ERRNO(shmat(id, room, 0), EINVAL);
    CHECK_ERRNO(shmat(id, room + 1, 0), EINVAL);
    CHECK_ERRNO(shmat(id, room + 1, SHM_REMAP), EINVAL);
    CHECK_ERRNO(shmat(id, NULL, SHM_REMAP), EINVAL);
    CHECK(shmat(id, room, SHM_REMAP) == room);
    CHECK(!strcmp(room + PAGE, "seen"));
    CHECK(shmat(id, room + 8 * PAGE + 17, SHM_REMAP | SHM_RND) == room + 8 * PAGE);
    CHECK(count_of(id) == 4);
    CHECK(munmap(room, 16 * PAGE) == 0);
    CHECK(count_of(id) == 2);
    CHECK(shmat(id, room + 5, SHM_RND) == room);
    CHECK_ERRNO(shmat(id, (void *)(1UL << 60), 0), ENOMEM);
    CHECK(count_of(id) == 3);
    CHECK(shmdt(room) == 0 && shmdt(a) == 0 && shmdt(b) == 0);
    CHECK(count_of(id) == 0);
    CHECK_ERRNO(shmdt(a), EINVAL);
    CHECK_ERRNO(shmdt(a + 1), EINVAL);
    status = stat_of(id);
    CHECK(labs(status.shm_dtime - time(NULL)) <= 60);

    /* The bytes stay while the segment does. */
    a = shmat(id, NULL, SHM_EXEC);
    CHECK(!strcmp(a + PAGE, "seen"));
    CHECK(shmdt(a) == 0);
    CHECK(shmctl(id, IPC_RMID, NULL) == 0);
}

static void test_removal(void)
{
    int id = shmget(KEY, PAGE, IPC_CREAT | 0600);
    char *a = shmat(id, NULL, 0);

    CHECK(shmctl(id, IPC_RMID, NULL) == 0);
    struct shmid_ds status = stat_of(id);
    CHECK(status.shm_perm.mode == (0600 | SHM_DEST) && status.shm_nattch == 1);
    CHECK(status.shm_perm.__key == IPC_PRIVATE);
    CHECK_ERRNO(shmget(KEY, PAGE, 0), ENOENT);
    int other = shmget(KEY, PAGE, IPC_CREAT | IPC_EXCL | 0600);
    CHECK(other >= 0 && other != id);
    /* Linux lets it be attached by its number until it goes. */
    char *b = shmat(id, NULL, 0);
    CHECK((long)b != -1);
    *a = 'x';
    CHECK(*b == 'x');
    CHECK(shmctl(id, IPC_RMID, NULL) == 0);
    CHECK(shmdt(a) == 0 && !is_gone(id));
    CHECK(shmdt(b) == 0 && is_gone(id));
    CHECK(shmctl(other, IPC_RMID, NULL) == 0 && is_gone(other));
}

/* How many pieces there are after cutting. */
static void test_pieces(void)
{
    int id = make(8 * PAGE);
    char *a = shmat(id, NULL, 0);

    memset(a, 'p', 8 * PAGE);
    CHECK(munmap(a + 2 * PAGE, PAGE) == 0);
    CHECK(count_of(id) == 2);
    CHECK(mprotect(a + 4 * PAGE, PAGE, PROT_READ) == 0);
    CHECK(count_of(id) == 4);
    CHECK(mprotect(a + 4 * PAGE, PAGE, PROT_READ | PROT_WRITE) == 0);
    CHECK(count_of(id) == 4);
    CHECK(munmap(a, 2 * PAGE) == 0);
    CHECK(count_of(id) == 3);
    CHECK_ERRNO(shmdt(a + 3 * PAGE), EINVAL);
    CHECK(shmdt(a) == 0); /* the place where it began counts */
    CHECK(count_of(id) == 0);

    a = shmat(id, NULL, 0);
    char *moved = mremap(a + 4 * PAGE, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
                         mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    CHECK(moved != MAP_FAILED && moved[PAGE] == 'p');
    CHECK(count_of(id) == 2);
    CHECK(shmdt(a) == 0);
    CHECK(count_of(id) == 1);
    CHECK_ERRNO(shmdt(moved), EINVAL); /* it is not the start of the segment */
    char *twin = mremap(moved, 0, 4 * PAGE, MREMAP_MAYMOVE);
    CHECK(twin != MAP_FAILED && count_of(id) == 2);
    moved[0] = 'q';
    CHECK(twin[0] == 'q');
    CHECK(munmap(moved, 4 * PAGE) == 0 && munmap(twin, 4 * PAGE) == 0);
    CHECK(count_of(id) == 0);
    CHECK(shmctl(id, IPC_RMID, NULL) == 0);
}

static sigjmp_buf jump;
static volatile int fault_code;

static void on_bus(int signo, siginfo_t *info, void *context)
{
    (void)signo;
    (void)context;
    fault_code = info->si_code;
    siglongjmp(jump, 1);
}

/* Behind the end there is nothing. */
static void test_end(void)
{
    struct sigaction action = { .sa_sigaction = on_bus, .sa_flags = SA_SIGINFO };
    int id = make(PAGE + 100);
    char *a = shmat(id, NULL, 0);

    sigaction(SIGBUS, &action, NULL);
    a[2 * PAGE - 1] = 1; /* the rest of the last page can be used */
    a = mremap(a, 2 * PAGE, 3 * PAGE, MREMAP_MAYMOVE);
    CHECK(a != MAP_FAILED && a[2 * PAGE - 1] == 1);
    if (!sigsetjmp(jump, 1)) {
        a[2 * PAGE] = 1;
        CHECK(!"no SIGBUS");
    }
    CHECK(fault_code == BUS_ADRERR);
    CHECK(shmdt(a) == 0);
    CHECK(count_of(id) == 0);
    CHECK(shmctl(id, IPC_RMID, NULL) == 0);
    signal(SIGBUS, SIG_DFL);
}

static void test_processes(const char *self)
{
    int id = make(PAGE), go[2];
    volatile int *shared = shmat(id, NULL, 0);
    char byte;

    NEED(pipe(go) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        __atomic_fetch_add(shared, 1, __ATOMIC_SEQ_CST);
        (void)!read(go[0], &byte, 1);
        execl(self, self, "child", NULL);
        _exit(9);
    }
    while (__atomic_load_n(shared, __ATOMIC_SEQ_CST) != 1)
        sched_yield();
    CHECK(count_of(id) == 2);
    CHECK(write(go[1], "g", 1) == 1);
    CHECK(status_of(pid) == 0);
    CHECK(count_of(id) == 1 && stat_of(id).shm_lpid == pid);

    /* Killed, or gone by itself: both are the end of its mapping. */
    pid = fork();
    if (pid == 0)
        for (;;)
            pause();
    CHECK(count_of(id) == 2);
    kill(pid, SIGKILL);
    status_of(pid);
    CHECK(count_of(id) == 1);
    pid = fork();
    if (pid == 0) {
        CHECK(shmdt((void *)shared) == 0);
        _exit(count_of(id) == 1 ? 0 : 1);
    }
    CHECK(status_of(pid) == 0);

    /* Not inherited if so advised; only the segment's last user lets it go. */
    CHECK(madvise((void *)shared, PAGE, MADV_DONTFORK) == 0);
    pid = fork();
    if (pid == 0)
        _exit(count_of(id) == 1 ? 0 : 1);
    CHECK(status_of(pid) == 0);
    CHECK(madvise((void *)shared, PAGE, MADV_DOFORK) == 0);
    pid = fork();
    if (pid == 0) {
        (void)!read(go[0], &byte, 1);
        *shared = 77;
        _exit(is_gone(id) ? 1 : 0);
    }
    CHECK(shmctl(id, IPC_RMID, NULL) == 0 && shmdt((void *)shared) == 0);
    CHECK(!is_gone(id));
    CHECK(write(go[1], "g", 1) == 1);
    CHECK(status_of(pid) == 0 && is_gone(id));
}

/* Several processes on several CPUs add to one word, and others come and go. */
static void test_load(void)
{
    int id = make(4 * PAGE);
    long *word = shmat(id, NULL, 0);

    for (int i = 0; i < 6; i++) {
        if (fork() == 0) {
            for (int n = 0; n < 200; n++) {
                long *mine = shmat(id, NULL, 0);
                if (mine == (void *)-1)
                    _exit(1);
                __atomic_fetch_add(mine, 1, __ATOMIC_RELAXED);
                __atomic_fetch_add(word + 512 * (n % 4), 1, __ATOMIC_RELAXED);
                if (shmdt(mine))
                    _exit(2);
            }
            _exit(0);
        }
    }
    for (int i = 0; i < 6; i++) {
        int status = -1;
        CHECK(wait(&status) > 0 && status == 0);
    }
    CHECK(word[0] + word[512] + word[1024] + word[1536] == 6 * 400);
    CHECK(count_of(id) == 1);
    CHECK(shmctl(id, IPC_RMID, NULL) == 0 && shmdt(word) == 0 && is_gone(id));
}

static int as_nobody(int (*function)(int id), int id)
{
    pid_t pid = fork();

    if (pid == 0) {
        check_failures = 0;
        if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
            setresuid(NOBODY, NOBODY, NOBODY))
            _exit(99);
        int result = function(id);
        fflush(stdout);
        _exit(result + check_failures);
    }
    return status_of(pid);
}

static int stranger(int id)
{
    struct shmid_ds status;

    memset(&status, 0, sizeof(status));
    CHECK_ERRNO(shmat(id, NULL, 0), EACCES);
    CHECK_ERRNO(shmat(id, NULL, SHM_RDONLY), EACCES);
    CHECK_ERRNO(shmctl(id, IPC_STAT, &status), EACCES);
    CHECK_ERRNO(shmctl(id, IPC_SET, &status), EPERM);
    CHECK_ERRNO(shmctl(id, IPC_RMID, NULL), EPERM);
    CHECK_ERRNO(shmctl(id, SHM_LOCK, NULL), EPERM);
    CHECK_ERRNO(shmctl(id, SHM_UNLOCK, NULL), EPERM);
    CHECK_ERRNO(shmget(KEY, PAGE, 0600), EACCES);
    CHECK(shmget(KEY, PAGE, 0) == id); /* nothing is asked for */
    CHECK_ERRNO(shmget(IPC_PRIVATE, 4UL << 20, IPC_CREAT | SHM_HUGETLB | 0600), EPERM);
    return 0;
}

static int reader(int id)
{
    struct shmid_ds status;
    void *a = shmat(id, NULL, SHM_RDONLY);

    CHECK(a != (void *)-1);
    CHECK(shmdt(a) == 0);
    CHECK_ERRNO(shmat(id, NULL, 0), EACCES);
    CHECK_ERRNO(shmat(id, NULL, SHM_RDONLY | SHM_EXEC), EACCES);
    CHECK(shmctl(id, IPC_STAT, &status) == 0);
    CHECK_ERRNO(shmctl(id, IPC_RMID, NULL), EPERM);
    CHECK(shmget(KEY, PAGE, 0400) == id);
    CHECK_ERRNO(shmget(KEY, PAGE, 0600), EACCES);
    return 0;
}

static int owner(int id)
{
    struct rlimit limit = { 2 * PAGE, 2 * PAGE };
    struct shmid_ds status;
    void *a = shmat(id, NULL, 0);

    CHECK(a != (void *)-1 && shmdt(a) == 0);
    CHECK(shmctl(id, IPC_STAT, &status) == 0);
    status.shm_perm.mode = 0700;
    CHECK(shmctl(id, IPC_SET, &status) == 0);
    CHECK(setrlimit(RLIMIT_MEMLOCK, &limit) == 0);
    CHECK_ERRNO(shmctl(id, SHM_LOCK, NULL), ENOMEM);
    limit.rlim_cur = 0;
    CHECK(setrlimit(RLIMIT_MEMLOCK, &limit) == 0);
    CHECK_ERRNO(shmctl(id, SHM_LOCK, NULL), EPERM);
    CHECK(shmctl(id, IPC_RMID, NULL) == 0);
    return 0;
}

static void test_permissions(void)
{
    int id = shmget(KEY, 3 * PAGE, IPC_CREAT | IPC_EXCL | 0640);
    struct shmid_ds status = stat_of(id);

    CHECK(as_nobody(stranger, id) == 0);
    status.shm_perm.mode = 0604;
    CHECK(shmctl(id, IPC_SET, &status) == 0);
    CHECK(as_nobody(reader, id) == 0);
    status.shm_perm.gid = NOBODY;
    status.shm_perm.mode = 0640;
    CHECK(shmctl(id, IPC_SET, &status) == 0);
    CHECK(as_nobody(reader, id) == 0);
    status.shm_perm.mode = 0606; /* the group's bits count, not the others' */
    CHECK(shmctl(id, IPC_SET, &status) == 0);
    status = stat_of(id);
    CHECK(status.shm_perm.gid == NOBODY && status.shm_perm.cgid == getegid());
    CHECK(shmctl(id, SHM_LOCK, NULL) == 0);
    CHECK(stat_of(id).shm_perm.mode == (0606 | SHM_LOCKED));
    CHECK(shmctl(id, SHM_LOCK, NULL) == 0 && shmctl(id, SHM_UNLOCK, NULL) == 0);
    CHECK(shmctl(id, SHM_UNLOCK, NULL) == 0 && stat_of(id).shm_perm.mode == 0606);
    status.shm_perm.uid = -1;
    CHECK_ERRNO(shmctl(id, IPC_SET, &status), EINVAL);
    status.shm_perm.uid = NOBODY;
    status.shm_perm.mode = 07777;
    CHECK(shmctl(id, IPC_SET, &status) == 0 && stat_of(id).shm_perm.mode == 0777);
    CHECK(as_nobody(owner, id) == 0);
    CHECK(is_gone(id));
}

static void test_information(void)
{
    int id = make(5 * PAGE);
    char *a = shmat(id, NULL, 0);
    struct shminfo limits;
    struct shm_info before, info;
    struct shmid_ds status;
    bool found = false, found_any = false;

    CHECK(shmctl(id, SHM_INFO, (void *)&before) >= 0);
    a[0] = a[3 * PAGE] = 1;
    int max = shmctl(0, IPC_INFO, (void *)&limits);
    CHECK(max >= 0);
    printf("%lu %lu %lu %lu %lu\n", limits.shmmax, limits.shmmin, limits.shmmni, limits.shmseg,
           limits.shmall);
    CHECK(shmctl(0, SHM_INFO, (void *)&info) == max);
    CHECK(info.used_ids == before.used_ids && info.shm_tot == before.shm_tot);
    CHECK(info.shm_rss == before.shm_rss + 2);
    for (int i = 0; i <= max; i++) {
        found |= shmctl(i, SHM_STAT, &status) == id && status.shm_segsz == 5 * PAGE;
        found_any |= shmctl(i, SHM_STAT_ANY, &status) == id && status.shm_cpid == getpid();
    }
    CHECK(found && found_any);
    CHECK_ERRNO(shmctl(max + 1, SHM_STAT, &status), EINVAL);
    CHECK_ERRNO(shmctl(-1, IPC_STAT, &status), EINVAL);
    CHECK_ERRNO(shmctl(id, -1, &status), EINVAL);
    CHECK_ERRNO(shmctl(id, 99, &status), EINVAL);
    CHECK_ERRNO(shmctl(id, IPC_STAT, BAD), EFAULT);
    CHECK_ERRNO(shmctl(id, IPC_SET, BAD), EFAULT);
    CHECK_ERRNO(shmctl(0, IPC_INFO, BAD), EFAULT);
    CHECK_ERRNO(shmctl(0, SHM_INFO, BAD), EFAULT);
    CHECK(shmdt(a) == 0 && shmctl(id, IPC_RMID, NULL) == 0);
    CHECK(shmctl(0, SHM_INFO, (void *)&info) >= 0);
    CHECK(info.used_ids == before.used_ids - 1 && info.shm_tot == before.shm_tot - 5);
    CHECK(info.shm_rss == before.shm_rss);
}

/* The line of a file that begins with these words, or "". */
static char *line_with(const char *path, const char *word, char *line, int size)
{
    FILE *file = fopen(path, "r");

    NEED(file);
    while (fgets(line, size, file))
        if (strstr(line, word)) {
            fclose(file);
            return line;
        }
    fclose(file);
    strcpy(line, "");
    return line;
}

static void test_proc(void)
{
    int id = shmget(0xbeef, 2 * PAGE + 5, IPC_CREAT | IPC_EXCL | 0604);
    char *a = shmat(id, NULL, SHM_RDONLY), line[512], word[64];
    unsigned long size, rss, swap, start, end;
    int key, number, mode, cpid, lpid, nattch, uid, gid, cuid, cgid;
    long atime, dtime, ctime;

    CHECK(a[0] == 0);
    printf("%s", line_with("/proc/sysvipc/shm", "key", line, sizeof(line)));
    snprintf(word, sizeof(word), "%10d %10d ", 0xbeef, id);
    line_with("/proc/sysvipc/shm", word, line, sizeof(line));
    CHECK(sscanf(line, "%d %d %o %lu %d %d %d %d %d %d %d %ld %ld %ld %lu %lu", &key, &number,
                 &mode, &size, &cpid, &lpid, &nattch, &uid, &gid, &cuid, &cgid, &atime, &dtime,
                 &ctime, &rss, &swap) == 16);
    CHECK(key == 0xbeef && number == id && mode == 0604 && size == 2 * PAGE + 5);
    CHECK(cpid == getpid() && lpid == getpid() && nattch == 1 && uid == 0 && cgid == 0);
    CHECK(rss == PAGE && swap == 0 && dtime == 0);
    CHECK(strlen(line) == 170 || getpid() > 99999);

    line_with("/proc/self/maps", "SYSV", line, sizeof(line));
    int device[2];
    CHECK(sscanf(line, "%lx-%lx r--s 00000000 %x:%x %d", &start, &end, &device[0], &device[1],
                 &number) == 5);
    CHECK(start == (unsigned long)a && end == start + 3 * PAGE && number == id);
    CHECK(device[0] == 0 && device[1] == 1);
    printf("%s", strstr(line, "/SYSV") ? strstr(line, "/SYSV") : "no name\n");
    CHECK(shmdt(a) == 0 && shmctl(id, IPC_RMID, NULL) == 0);
    CHECK(!*line_with("/proc/sysvipc/shm", word, line, sizeof(line)));
}

static bool set(const char *name, const char *text)
{
    int fd = open(name, O_WRONLY);

    NEED(fd >= 0);
    bool is_done = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    int saved = errno;
    close(fd);
    errno = saved;
    return is_done;
}

static void test_limits(void)
{
    char line[64], tight[64];
    struct shm_info info;

    CHECK(set("/proc/sys/kernel/shmmax", "20480\n"));
    printf("%s", line_with("/proc/sys/kernel/shmmax", "", line, sizeof(line)));
    int id = make(5 * PAGE);
    CHECK_ERRNO(shmget(IPC_PRIVATE, 5 * PAGE + 1, IPC_CREAT | 0600), EINVAL);
    CHECK(!set("/proc/sys/kernel/shmmax", "many\n") && errno == EINVAL);
    CHECK(set("/proc/sys/kernel/shmmax", "18446744073692774399"));
    CHECK(shmctl(0, SHM_INFO, (void *)&info) >= 0);
    snprintf(tight, sizeof(tight), "%lu\n", info.shm_tot + 2);
    CHECK(set("/proc/sys/kernel/shmall", tight));
    CHECK_ERRNO(shmget(IPC_PRIVATE, 3 * PAGE, IPC_CREAT | 0600), ENOSPC);
    CHECK(shmctl(make(2 * PAGE), IPC_RMID, NULL) == 0);
    CHECK(set("/proc/sys/kernel/shmall", "18446744073692774399"));
    snprintf(tight, sizeof(tight), "%d\n", info.used_ids);
    CHECK(set("/proc/sys/kernel/shmmni", tight));
    CHECK_ERRNO(shmget(IPC_PRIVATE, PAGE, IPC_CREAT | 0600), ENOSPC);
    CHECK(!set("/proc/sys/kernel/shmmni", "40000") && errno == EINVAL);
    CHECK(set("/proc/sys/kernel/shmmni", "4096"));
    CHECK(shmctl(id, IPC_RMID, NULL) == 0);
    int many[300];
    for (int i = 0; i < 300; i++)
        many[i] = make(1);
    for (int i = 0; i < 300; i++)
        CHECK(shmctl(many[i], IPC_RMID, NULL) == 0);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return 0;
    test_get();
    test_numbers();
    test_attach();
    test_removal();
    test_pieces();
    test_end();
    test_processes(argv[0]);
    test_load();
    test_permissions();
    test_information();
    test_proc();
    test_limits();
    return check_end();
}
