// SPDX-License-Identifier: MIT
/*
 * execve from its odd sides: threads, descriptors, long arguments, scripts, posix_spawn, vfork.
 * test: variants=dynamic,static timeout=60
 */
#include "check.h"

#include <elf.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static char self[4096];
extern char **environ;

static int status_of(pid_t pid)
{
    int status = -1;

    CHECK(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void write_file(const char *name, const char *text, unsigned mode)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0700);

    NEED(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    NEED(!fchmod(fd, mode) && !close(fd));
}

/* ---- What the new program looks at --------------------------------------------------- */

static int child_main(int argc, char **argv)
{
    const char *what = argv[1];

    if (!strcmp(what, "args") || !strncmp(what, "./script", 8)) {
        for (int i = 1; i < argc; i++)
            printf("[%s]", argv[i]);
        printf(" %s\n", getenv("MARK") ? getenv("MARK") : "-");
        return 0;
    }
    if (!strcmp(what, "lengths")) {
        size_t total = 0;
        for (int i = 2; i < argc; i++)
            total += strlen(argv[i]);
        printf("%d arguments, %zu bytes\n", argc - 2, total);
        return 0;
    }
    if (!strcmp(what, "descriptors")) { /* one that is open, one that is not */
        return fcntl(atoi(argv[2]), F_GETFD) < 0 || fcntl(atoi(argv[3]), F_GETFD) >= 0;
    }
    if (!strcmp(what, "signals")) {
        struct sigaction usr1, usr2, hup;
        sigset_t blocked;
        sigaction(SIGUSR1, NULL, &usr1);
        sigaction(SIGUSR2, NULL, &usr2);
        sigaction(SIGHUP, NULL, &hup);
        sigprocmask(SIG_BLOCK, NULL, &blocked);
        stack_t stack;
        sigaltstack(NULL, &stack);
        return !(usr1.sa_handler == SIG_DFL && usr2.sa_handler == SIG_IGN && hup.sa_flags == 0 &&
                 sigismember(&blocked, SIGTERM) && !sigismember(&blocked, SIGINT) &&
                 (stack.ss_flags & SS_DISABLE));
    }
    if (!strcmp(what, "places")) {
        void *map = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        printf("%#lx %p %p %p\n", getauxval(AT_PHDR) & ~0xfffUL, map, sbrk(0), (void *)&map);
        return 0;
    }
    if (!strcmp(what, "personality"))
        return personality(0xffffffff) & ADDR_NO_RANDOMIZE ? 1 : 0;
    if (!strcmp(what, "single")) { /* the only thread, and its number is the process's */
        return !(getpid() == syscall(SYS_gettid) && getpid() == atoi(argv[2]));
    }
    if (!strcmp(what, "auxv")) {
        char name[16];
        prctl(PR_GET_NAME, name);
        const char *path = (const char *)getauxval(AT_EXECFN);
        printf("%s %s %lu %lu %d\n", name, strrchr(path, '/') ? strrchr(path, '/') + 1 : path,
               getauxval(AT_PAGESZ), getauxval(AT_CLKTCK), getauxval(AT_RANDOM) != 0);
        return strcmp((const char *)getauxval(AT_PLATFORM), "x86_64") != 0;
    }
    return 99;
}

#define RUN(...)                                                                                   \
    ({                                                                                             \
        fflush(stdout);                                                                            \
        pid_t pid_ = fork();                                                                       \
        if (pid_ == 0) {                                                                           \
            execl(self, self, "child", __VA_ARGS__, NULL);                                         \
            _exit(98);                                                                             \
        }                                                                                          \
        status_of(pid_);                                                                           \
    })

/* ---- Tests ------------------------------------------------------------------------------ */

static void test_inherited(void)
{
    char kept[16], closed[16];
    int fd = open("/dev/null", O_RDONLY), gone = open("/dev/null", O_RDONLY | O_CLOEXEC);
    sigset_t set;

    snprintf(kept, sizeof(kept), "%d", fd);
    snprintf(closed, sizeof(closed), "%d", gone);
    CHECK(RUN("descriptors", kept, closed) == 0);
    CHECK(fcntl(gone, F_GETFD) == FD_CLOEXEC);
    close(fd);
    close(gone);

    static char stack[65536];
    stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };
    signal(SIGUSR1, (void (*)(int))exit);
    signal(SIGUSR2, SIG_IGN);
    signal(SIGHUP, (void (*)(int))exit);
    sigaltstack(&alternate, NULL);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_SETMASK, &set, NULL);
    CHECK(RUN("signals") == 0);
    sigemptyset(&set);
    sigprocmask(SIG_SETMASK, &set, NULL);
    CHECK(RUN("auxv") == 0);
}

static void *exec_here(void *arg)
{
    char pid[16];

    snprintf(pid, sizeof(pid), "%d", getpid());
    execl(self, self, "child", "single", pid, NULL);
    return arg;
}

static void *sleep_there(void *arg)
{
    for (;;)
        pause();
    return arg;
}

static void *spin_there(void *arg)
{
    for (;;)
        __asm__ volatile("pause");
    return arg;
}

/* Of several threads, busy and asleep, one that is not the first becomes the new program. */
static void test_threads(void)
{
    pthread_t thread;

    pid_t pid = fork();
    if (pid == 0) {
        for (int i = 0; i < 3; i++)
            pthread_create(&thread, NULL, sleep_there, NULL);
        pthread_create(&thread, NULL, spin_there, NULL);
        sleep_ms(10);
        pthread_create(&thread, NULL, exec_here, NULL);
        for (;;)
            pause();
    }
    CHECK(status_of(pid) == 0);
    pid = fork();
    if (pid == 0) {
        for (int i = 0; i < 3; i++)
            pthread_create(&thread, NULL, sleep_there, NULL);
        exec_here(NULL);
    }
    CHECK(status_of(pid) == 0);
    pid = fork();
    if (pid == 0) { /* the first thread is gone when another execs */
        pthread_create(&thread, NULL, exec_here, NULL);
        pthread_exit(NULL);
    }
    CHECK(status_of(pid) == 0);
}

static void test_errors(void)
{
    char *argv[] = { self, NULL };

    write_file("not_executable", "#!/bin/true\n", 0600);
    write_file("garbage", "garbage\n", 0700);
    write_file("no_interpreter", "#!/no/such/program\n", 0700);
    write_file("itself", "#!itself\n", 0700);
    write_file("nameless", "#!\n", 0700);
    mkdir("folder", 0700);
    CHECK_ERRNO(execve("missing", argv, environ), ENOENT);
    CHECK_ERRNO(execve("", argv, environ), ENOENT);
    CHECK_ERRNO(execve("garbage/x", argv, environ), ENOTDIR);
    CHECK_ERRNO(execve("not_executable", argv, environ), EACCES);
    CHECK_ERRNO(execve("folder", argv, environ), EACCES);
    CHECK_ERRNO(execve("garbage", argv, environ), ENOEXEC);
    CHECK_ERRNO(execve("no_interpreter", argv, environ), ENOENT);
    CHECK_ERRNO(execve("itself", argv, environ), ELOOP);
    CHECK_ERRNO(execve("nameless", argv, environ), ENOEXEC);
    CHECK_ERRNO(syscall(SYS_execve, 8, argv, environ), EFAULT);
    CHECK_ERRNO(syscall(SYS_execve, self, 8, environ), EFAULT);
    char *bad[] = { self, (char *)8, NULL };
    CHECK_ERRNO(execve(self, bad, environ), EFAULT);
    CHECK_ERRNO(syscall(SYS_execveat, -1, "x", argv, environ, 0), EBADF);
    CHECK_ERRNO(syscall(SYS_execveat, AT_FDCWD, self, argv, environ, 1), EINVAL);
}

/* Scripts that are each other's interpreters: five are followed, not six. */
static void test_chain(void)
{
    char name[16], text[4200];

    snprintf(text, sizeof text, "#!%s child\n", self);
    for (int i = 1; i <= 6; i++) {
        snprintf(name, sizeof name, "chain%d", i);
        write_file(name, text, 0700);
        snprintf(text, sizeof text, "#!%s\n", name);
    }
    pid_t pid = fork();
    if (pid == 0) {
        execl("chain5", "chain5", NULL);
        _exit(98);
    }
    CHECK(status_of(pid) == 99); /* what child_main() says to a word it does not know */
    CHECK_ERRNO(execl("chain6", "chain6", NULL), ELOOP);
}

static void test_long(void)
{
    size_t max = 128 * 1024;
    char *text = malloc(max + 1);

    memset(text, 'x', max);
    text[max] = '\0';
    char *too_long[] = { self, "child", "lengths", text, NULL };
    CHECK_ERRNO(execve(self, too_long, environ), E2BIG);
    text[max - 1] = '\0'; /* 128 KiB with its NUL: just allowed */
    CHECK(RUN("lengths", text, "y") == 0);
    char **many = calloc(40, sizeof(*many));
    for (int i = 0; i < 38; i++)
        many[i] = text;
    CHECK_ERRNO(execve(self, many, environ), E2BIG);
    for (int i = 0; i < 13; i++)
        many[i] = i < 3 ? too_long[i] : text;
    many[13] = NULL;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        execve(self, many, environ);
        _exit(98);
    }
    CHECK(status_of(pid) == 0);
    free(many);
    free(text);
}

static void test_scripts(void)
{
    char line[5000];

    snprintf(line, sizeof(line), "#! \t%s child \t\nrest", self);
    write_file("script2", line, 0700);
    write_file("script3", "#!./script2 args\n", 0700);
    CHECK(symlink(self, "me") == 0);
    char *argv[] = { "zero", "args", "a b", "", NULL };
    char *env[] = { "MARK=here", NULL };
    fflush(stdout);
    const char *names[] = { "./script2", "./script3" };
    for (int i = 0; i < 2; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            execve(names[i], argv, env);
            _exit(98);
        }
        printf("%s: %d\n", names[i], status_of(pid));
        fflush(stdout);
    }
}

static void test_by_descriptor(void)
{
    char *argv[] = { "by fd", "child", "args", "x", NULL };
    char *env[] = { NULL };
    int fd = open(self, O_RDONLY);

    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        syscall(SYS_execveat, fd, "", argv, env, AT_EMPTY_PATH);
        _exit(98);
    }
    CHECK(status_of(pid) == 0);
    close(fd);
    int folder = open(".", O_RDONLY | O_DIRECTORY);
    pid = fork();
    if (pid == 0) {
        syscall(SYS_execveat, folder, "me", argv, env, 0);
        _exit(98);
    }
    CHECK(status_of(pid) == 0);
    CHECK_ERRNO(syscall(SYS_execveat, folder, "me", argv, env, AT_SYMLINK_NOFOLLOW), ELOOP);
    close(folder);
}

static void test_spawn(void)
{
    char *argv[] = { self, "child", "args", "spawned", NULL };
    pid_t pid;

    fflush(stdout);
    CHECK(posix_spawn(&pid, self, NULL, NULL, argv, environ) == 0);
    CHECK(status_of(pid) == 0);
    CHECK(posix_spawn(&pid, "/no/such/program", NULL, NULL, argv, environ) == ENOENT);
    volatile int shared = 0;
    pid = vfork();
    if (pid == 0) {
        shared = 7;
        _exit(3);
    }
    CHECK(shared == 7 && status_of(pid) == 3);
    pid = vfork();
    if (pid == 0) {
        shared = 8;
        execv(self, argv);
        _exit(98);
    }
    CHECK(shared == 8 && status_of(pid) == 0);
}

/* A file is written or run, never both. */
static void test_busy(void)
{
    char *argv[] = { "copy", "child", "none", NULL };
    char buffer[4096];
    int from = open(self, O_RDONLY), to = open("copy", O_RDWR | O_CREAT, 0755);

    NEED(from >= 0 && to >= 0);
    for (long n; (n = read(from, buffer, sizeof(buffer))) > 0;)
        NEED(write(to, buffer, (size_t)n) == n);
    CHECK_ERRNO(execv("copy", argv), ETXTBSY);
    close(to), close(from);
    CHECK_ERRNO(open(self, O_RDWR), ETXTBSY);
    CHECK_ERRNO(open(self, O_RDONLY | O_TRUNC), ETXTBSY);
    CHECK_ERRNO(truncate(self, 0), ETXTBSY);
    CHECK((from = open(self, O_RDONLY)) >= 0 && !close(from));
    /* Not any more when the program has ended. */
    pid_t pid = fork();
    if (pid == 0) {
        execl("copy", "copy", NULL);
        _exit(97);
    }
    status_of(pid);
    CHECK((to = open("copy", O_RDWR)) >= 0 && !close(to) && !unlink("copy"));
}

static bool places_of_child(char *text, size_t size)
{
    int ends[2];
    NEED(pipe(ends) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], 1);
        execl(self, "places", "child", "places", NULL);
        _exit(97);
    }
    close(ends[1]);
    ssize_t n = read(ends[0], text, size - 1);
    close(ends[0]);
    text[n > 0 ? n : 0] = '\0';
    return status_of(pid) == 0 && n > 0;
}

/* Where things are with ADDR_NO_RANDOMIZE, and the same each time. */
static void test_places(void)
{
    char first[256], second[256];
    CHECK(personality(ADDR_NO_RANDOMIZE) == 0);
    CHECK(places_of_child(first, sizeof(first)) && places_of_child(second, sizeof(second)));
    CHECK(strcmp(first, second) == 0);
    CHECK(personality(0) == ADDR_NO_RANDOMIZE);
    CHECK(places_of_child(second, sizeof(second)) && strcmp(first, second) != 0);
    first[strcspn(first, " ")] = '\0';
    printf("program at %s\n", first);
}

/* The path of the interpreter in a program's file; NULL: it has none. */
static char *find_interpreter(char *bytes)
{
    const Elf64_Ehdr *header = (const void *)bytes;
    const Elf64_Phdr *segment = (const void *)(bytes + header->e_phoff);

    for (int i = 0; i < header->e_phnum; i++) {
        if (segment[i].p_type == PT_INTERP)
            return bytes + segment[i].p_offset;
    }
    return NULL;
}

/* A copy of this program that belongs to somebody else, who it runs as; perhaps without its interpreter. */
static bool copy_self(const char *name, bool is_broken)
{
    int in = open(self, O_RDONLY), out = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0700);
    struct stat info;

    NEED(in >= 0 && out >= 0 && fstat(in, &info) == 0);
    char *bytes = malloc((size_t)info.st_size);
    NEED(bytes && read(in, bytes, (size_t)info.st_size) == info.st_size);
    char *interpreter = find_interpreter(bytes);
    if (is_broken && interpreter)
        strcpy(interpreter, "/none");
    NEED(write(out, bytes, (size_t)info.st_size) == info.st_size);
    NEED(fchown(out, 1000, 1000) == 0 && fchmod(out, 04755) == 0);
    free(bytes);
    close(in);
    close(out);
    return interpreter;
}

/* A set-user-ID program is randomized, and only when it has really begun. */
static void test_set_user_id(void)
{
    copy_self("other", false);
    bool is_dynamic = copy_self("broken", true);
    CHECK(personality(ADDR_NO_RANDOMIZE) == 0);
    CHECK(RUN("personality") == 1);
    if (is_dynamic)
        CHECK_ERRNO(execl("./broken", "broken", "child", "personality", NULL), ENOENT);
    CHECK(personality(0xffffffff) == ADDR_NO_RANDOMIZE);
    pid_t pid = fork();
    if (pid == 0) {
        execl("./other", "other", "child", "personality", NULL);
        _exit(98);
    }
    CHECK(status_of(pid) == 0);
    CHECK(personality(0) == ADDR_NO_RANDOMIZE);
    CHECK(unlink("other") == 0 && unlink("broken") == 0);
}

int main(int argc, char **argv)
{
    if (argc == 1 && !strcmp(argv[0], "copy"))
        return 0;
    if (argc > 2 && !strcmp(argv[1], "child"))
        return child_main(argc - 1, argv + 1);
    NEED(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
    test_inherited();
    test_threads();
    test_errors();
    test_long();
    test_chain();
    test_scripts();
    test_by_descriptor();
    test_spawn();
    test_busy();
    test_places();
    test_set_user_id();
    return check_end();
}
