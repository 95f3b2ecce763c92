// SPDX-License-Identifier: MIT
/*
 * How strace shows each kind of argument.  Whatever an application pointer leads to is copied first; what
 * cannot be read is shown as an address.
 */
#include "kernel/strace_print.h"

#include <stdarg.h>

#include "abi/errno.h"
#include "abi/fcntl.h"
#include "abi/mman.h"
#include "abi/signal.h"
#include "kernel/usercopy.h"
#include "lib/format.h"

#define STRING_SHOWN 96
#define BUFFER_SHOWN 32

void strace_add(struct strace_line *line, const char *format, ...)
{
    va_list args;
    if (line->len >= sizeof(line->text))
        return;
    va_start(args, format);
    int n = format_string_va(line->text + line->len, sizeof(line->text) - line->len, format, args);
    va_end(args);
    if (n > 0)
        line->len = MIN(line->len + (size_t)n, sizeof(line->text) - 1);
}

/* ---- Names ------------------------------------------------------------------------ */

struct name {
    unsigned long value;
    const char *name;
};

/* The names of the bits set, then the rest as a number. */
static void add_bits(struct strace_line *line, unsigned long value, const struct name *names,
                     size_t count)
{
    const char *separator = "";
    for (size_t i = 0; i < count; i++) {
        if (!names[i].value || (value & names[i].value) != names[i].value)
            continue;
        strace_add(line, "%s%s", separator, names[i].name);
        separator = "|";
        value &= ~names[i].value;
    }
    if (value || !*separator)
        strace_add(line, "%s%#lx", separator, value);
}

static const char *name_find(unsigned long value, const struct name *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (names[i].value == value)
            return names[i].name;
    }
    return NULL;
}

static const struct name error_names[] = { { EPERM, "EPERM" },
                                           { ENOENT, "ENOENT" },
                                           { ESRCH, "ESRCH" },
                                           { EINTR, "EINTR" },
                                           { EIO, "EIO" },
                                           { ENXIO, "ENXIO" },
                                           { E2BIG, "E2BIG" },
                                           { ENOEXEC, "ENOEXEC" },
                                           { EBADF, "EBADF" },
                                           { ECHILD, "ECHILD" },
                                           { EAGAIN, "EAGAIN" },
                                           { ENOMEM, "ENOMEM" },
                                           { EACCES, "EACCES" },
                                           { EFAULT, "EFAULT" },
                                           { ENOTBLK, "ENOTBLK" },
                                           { EBUSY, "EBUSY" },
                                           { EEXIST, "EEXIST" },
                                           { EXDEV, "EXDEV" },
                                           { ENODEV, "ENODEV" },
                                           { ENOTDIR, "ENOTDIR" },
                                           { EISDIR, "EISDIR" },
                                           { EINVAL, "EINVAL" },
                                           { ENFILE, "ENFILE" },
                                           { EMFILE, "EMFILE" },
                                           { ENOTTY, "ENOTTY" },
                                           { ETXTBSY, "ETXTBSY" },
                                           { EFBIG, "EFBIG" },
                                           { ENOSPC, "ENOSPC" },
                                           { ESPIPE, "ESPIPE" },
                                           { EROFS, "EROFS" },
                                           { EMLINK, "EMLINK" },
                                           { EPIPE, "EPIPE" },
                                           { EDOM, "EDOM" },
                                           { ERANGE, "ERANGE" },
                                           { EDEADLK, "EDEADLK" },
                                           { ENAMETOOLONG, "ENAMETOOLONG" },
                                           { ENOLCK, "ENOLCK" },
                                           { ENOSYS, "ENOSYS" },
                                           { ENOTEMPTY, "ENOTEMPTY" },
                                           { ELOOP, "ELOOP" },
                                           { ENOMSG, "ENOMSG" },
                                           { EIDRM, "EIDRM" },
                                           { ECHRNG, "ECHRNG" },
                                           { EL2NSYNC, "EL2NSYNC" },
                                           { EL3HLT, "EL3HLT" },
                                           { EL3RST, "EL3RST" },
                                           { ELNRNG, "ELNRNG" },
                                           { EUNATCH, "EUNATCH" },
                                           { ENOCSI, "ENOCSI" },
                                           { EL2HLT, "EL2HLT" },
                                           { EBADE, "EBADE" },
                                           { EBADR, "EBADR" },
                                           { EXFULL, "EXFULL" },
                                           { ENOANO, "ENOANO" },
                                           { EBADRQC, "EBADRQC" },
                                           { EBADSLT, "EBADSLT" },
                                           { EBFONT, "EBFONT" },
                                           { ENOSTR, "ENOSTR" },
                                           { ENODATA, "ENODATA" },
                                           { ETIME, "ETIME" },
                                           { ENOSR, "ENOSR" },
                                           { ENONET, "ENONET" },
                                           { ENOPKG, "ENOPKG" },
                                           { EREMOTE, "EREMOTE" },
                                           { ENOLINK, "ENOLINK" },
                                           { EADV, "EADV" },
                                           { ESRMNT, "ESRMNT" },
                                           { ECOMM, "ECOMM" },
                                           { EPROTO, "EPROTO" },
                                           { EMULTIHOP, "EMULTIHOP" },
                                           { EDOTDOT, "EDOTDOT" },
                                           { EBADMSG, "EBADMSG" },
                                           { EOVERFLOW, "EOVERFLOW" },
                                           { ENOTUNIQ, "ENOTUNIQ" },
                                           { EBADFD, "EBADFD" },
                                           { EREMCHG, "EREMCHG" },
                                           { ELIBACC, "ELIBACC" },
                                           { ELIBBAD, "ELIBBAD" },
                                           { ELIBSCN, "ELIBSCN" },
                                           { ELIBMAX, "ELIBMAX" },
                                           { ELIBEXEC, "ELIBEXEC" },
                                           { EILSEQ, "EILSEQ" },
                                           { ERESTART, "ERESTART" },
                                           { ESTRPIPE, "ESTRPIPE" },
                                           { EUSERS, "EUSERS" },
                                           { ENOTSOCK, "ENOTSOCK" },
                                           { EDESTADDRREQ, "EDESTADDRREQ" },
                                           { EMSGSIZE, "EMSGSIZE" },
                                           { EPROTOTYPE, "EPROTOTYPE" },
                                           { ENOPROTOOPT, "ENOPROTOOPT" },
                                           { EPROTONOSUPPORT, "EPROTONOSUPPORT" },
                                           { ESOCKTNOSUPPORT, "ESOCKTNOSUPPORT" },
                                           { EOPNOTSUPP, "EOPNOTSUPP" },
                                           { EPFNOSUPPORT, "EPFNOSUPPORT" },
                                           { EAFNOSUPPORT, "EAFNOSUPPORT" },
                                           { EADDRINUSE, "EADDRINUSE" },
                                           { EADDRNOTAVAIL, "EADDRNOTAVAIL" },
                                           { ENETDOWN, "ENETDOWN" },
                                           { ENETUNREACH, "ENETUNREACH" },
                                           { ENETRESET, "ENETRESET" },
                                           { ECONNABORTED, "ECONNABORTED" },
                                           { ECONNRESET, "ECONNRESET" },
                                           { ENOBUFS, "ENOBUFS" },
                                           { EISCONN, "EISCONN" },
                                           { ENOTCONN, "ENOTCONN" },
                                           { ESHUTDOWN, "ESHUTDOWN" },
                                           { ETOOMANYREFS, "ETOOMANYREFS" },
                                           { ETIMEDOUT, "ETIMEDOUT" },
                                           { ECONNREFUSED, "ECONNREFUSED" },
                                           { EHOSTDOWN, "EHOSTDOWN" },
                                           { EHOSTUNREACH, "EHOSTUNREACH" },
                                           { EALREADY, "EALREADY" },
                                           { EINPROGRESS, "EINPROGRESS" },
                                           { ESTALE, "ESTALE" },
                                           { EUCLEAN, "EUCLEAN" },
                                           { ENOTNAM, "ENOTNAM" },
                                           { ENAVAIL, "ENAVAIL" },
                                           { EISNAM, "EISNAM" },
                                           { EREMOTEIO, "EREMOTEIO" },
                                           { EDQUOT, "EDQUOT" },
                                           { ENOMEDIUM, "ENOMEDIUM" },
                                           { EMEDIUMTYPE, "EMEDIUMTYPE" },
                                           { ECANCELED, "ECANCELED" },
                                           { ENOKEY, "ENOKEY" },
                                           { EKEYEXPIRED, "EKEYEXPIRED" },
                                           { EKEYREVOKED, "EKEYREVOKED" },
                                           { EKEYREJECTED, "EKEYREJECTED" },
                                           { EOWNERDEAD, "EOWNERDEAD" },
                                           { ENOTRECOVERABLE, "ENOTRECOVERABLE" },
                                           { ERFKILL, "ERFKILL" },
                                           { EHWPOISON, "EHWPOISON" },
                                           { ERESTARTSYS, "ERESTARTSYS" },
                                           { ERESTARTNOINTR, "ERESTARTNOINTR" },
                                           { ERESTARTNOHAND, "ERESTARTNOHAND" },
                                           { ERESTART_RESTARTBLOCK, "ERESTART_RESTARTBLOCK" } };

void strace_add_error(struct strace_line *line, int error)
{
    const char *name = name_find((unsigned long)error, error_names, ARRAY_SIZE(error_names));
    if (name)
        strace_add(line, "%s %s", error >= ERESTARTSYS ? "?" : "-1", name);
    else
        strace_add(line, "-%d", error);
}

void strace_add_signal(struct strace_line *line, int signo)
{
    static const char *const names[] = {
        "0",         "SIGHUP",  "SIGINT",    "SIGQUIT", "SIGILL",   "SIGTRAP", "SIGABRT", "SIGBUS",
        "SIGFPE",    "SIGKILL", "SIGUSR1",   "SIGSEGV", "SIGUSR2",  "SIGPIPE", "SIGALRM", "SIGTERM",
        "SIGSTKFLT", "SIGCHLD", "SIGCONT",   "SIGSTOP", "SIGTSTP",  "SIGTTIN", "SIGTTOU", "SIGURG",
        "SIGXCPU",   "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO",   "SIGPWR",  "SIGSYS",
    };
    if (signo >= 0 && signo < (int)ARRAY_SIZE(names))
        strace_add(line, "%s", names[signo]);
    else
        strace_add(line, "SIGRT_%d", signo - ABI_SIGRTMIN);
}

/* ---- Numbers ------------------------------------------------------------------------ */

void print_int(struct strace_line *line, const struct strace_argument *argument)
{
    strace_add(line, "%d", (int)argument->value);
}

void print_unsigned(struct strace_line *line, const struct strace_argument *argument)
{
    strace_add(line, "%u", (unsigned)argument->value);
}

void print_long(struct strace_line *line, const struct strace_argument *argument)
{
    strace_add(line, "%ld", (long)argument->value);
}

void print_size(struct strace_line *line, const struct strace_argument *argument)
{
    strace_add(line, "%lu", argument->value);
}

void print_hex(struct strace_line *line, const struct strace_argument *argument)
{
    if (argument->value)
        strace_add(line, "%#lx", argument->value);
    else
        strace_add(line, "0");
}

void print_octal(struct strace_line *line, const struct strace_argument *argument)
{
    strace_add(line, "0%o", (unsigned)argument->value);
}

void print_pointer(struct strace_line *line, const struct strace_argument *argument)
{
    if (argument->value)
        strace_add(line, "%#lx", argument->value);
    else
        strace_add(line, "NULL");
}

void print_at_fd(struct strace_line *line, const struct strace_argument *argument)
{
    if ((int)argument->value == ABI_AT_FDCWD)
        strace_add(line, "AT_FDCWD");
    else
        print_int(line, argument);
}

/* ---- Text ------------------------------------------------------------------------------ */

static void add_character(struct strace_line *line, unsigned char c)
{
    switch (c) {
    case '\n':
        strace_add(line, "\\n");
        break;
    case '\t':
        strace_add(line, "\\t");
        break;
    case '\r':
        strace_add(line, "\\r");
        break;
    case '"':
    case '\\':
        strace_add(line, "\\%c", c);
        break;
    default:
        strace_add(line, c >= ' ' && c < 0x7f ? "%c" : "\\x%02x", c);
    }
}

static void add_quoted(struct strace_line *line, const char *text, size_t len, bool is_cut)
{
    strace_add(line, "\"");
    for (size_t i = 0; i < len; i++)
        add_character(line, (unsigned char)text[i]);
    strace_add(line, is_cut ? "\"..." : "\"");
}

void print_string(struct strace_line *line, const struct strace_argument *argument)
{
    char text[STRING_SHOWN + 1];
    const char __app *from = (const char __app *)argument->value;
    if (!argument->value) {
        strace_add(line, "NULL");
        return;
    }
    long len = string_from_app(text, from, sizeof(text));
    if (len >= 0)
        add_quoted(line, text, (size_t)len, false);
    else if (len == -ENAMETOOLONG && copy_from_app(text, from, STRING_SHOWN) == 0)
        add_quoted(line, text, STRING_SHOWN, true);
    else
        print_pointer(line, argument);
}

static void add_buffer(struct strace_line *line, const struct strace_argument *argument, size_t len)
{
    char text[BUFFER_SHOWN];
    size_t shown = MIN(len, sizeof(text));
    if (!argument->value || copy_from_app(text, (const void __app *)argument->value, shown))
        print_pointer(line, argument);
    else
        add_quoted(line, text, shown, shown < len);
}

void print_out_buffer(struct strace_line *line, const struct strace_argument *argument)
{
    if (argument->result < 0)
        print_pointer(line, argument);
    else
        add_buffer(line, argument, (size_t)argument->result);
}

void print_in_buffer(struct strace_line *line, const struct strace_argument *argument)
{
    add_buffer(line, argument, argument->following);
}

/* ---- Flags -------------------------------------------------------------------------------- */

void print_open_flags(struct strace_line *line, const struct strace_argument *argument)
{
    static const char *const access[] = { "O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE" };
    static const struct name names[] = {
        { ABI_O_CREAT, "O_CREAT" },         { ABI_O_EXCL, "O_EXCL" },
        { ABI_O_NOCTTY, "O_NOCTTY" },       { ABI_O_TRUNC, "O_TRUNC" },
        { ABI_O_APPEND, "O_APPEND" },       { ABI_O_NONBLOCK, "O_NONBLOCK" },
        { ABI_O_SYNC, "O_SYNC" },           { ABI_O_DSYNC, "O_DSYNC" },
        { ABI_O_ASYNC, "O_ASYNC" },         { ABI_O_DIRECT, "O_DIRECT" },
        { ABI_O_LARGEFILE, "O_LARGEFILE" }, { ABI_O_TMPFILE, "O_TMPFILE" },
        { ABI_O_DIRECTORY, "O_DIRECTORY" }, { ABI_O_NOFOLLOW, "O_NOFOLLOW" },
        { ABI_O_NOATIME, "O_NOATIME" },     { ABI_O_CLOEXEC, "O_CLOEXEC" },
        { ABI_O_PATH, "O_PATH" },
    };
    unsigned flags = (unsigned)argument->value;
    strace_add(line, "%s", access[flags & ABI_O_ACCMODE]);
    if (flags & ~ABI_O_ACCMODE) {
        strace_add(line, "|");
        add_bits(line, flags & ~ABI_O_ACCMODE, names, ARRAY_SIZE(names));
    }
}

void print_prot(struct strace_line *line, const struct strace_argument *argument)
{
    static const struct name names[] = {
        { ABI_PROT_READ, "PROT_READ" },
        { ABI_PROT_WRITE, "PROT_WRITE" },
        { ABI_PROT_EXEC, "PROT_EXEC" },
    };
    if (argument->value)
        add_bits(line, argument->value, names, ARRAY_SIZE(names));
    else
        strace_add(line, "PROT_NONE");
}

void print_map_flags(struct strace_line *line, const struct strace_argument *argument)
{
    static const struct name names[] = {
        { ABI_MAP_SHARED_VALIDATE, "MAP_SHARED_VALIDATE" },
        { ABI_MAP_SHARED, "MAP_SHARED" },
        { ABI_MAP_PRIVATE, "MAP_PRIVATE" },
        { ABI_MAP_FIXED, "MAP_FIXED" },
        { ABI_MAP_ANONYMOUS, "MAP_ANONYMOUS" },
        { ABI_MAP_32BIT, "MAP_32BIT" },
        { ABI_MAP_GROWSDOWN, "MAP_GROWSDOWN" },
        { ABI_MAP_DENYWRITE, "MAP_DENYWRITE" },
        { ABI_MAP_LOCKED, "MAP_LOCKED" },
        { ABI_MAP_NORESERVE, "MAP_NORESERVE" },
        { ABI_MAP_POPULATE, "MAP_POPULATE" },
        { ABI_MAP_STACK, "MAP_STACK" },
        { ABI_MAP_HUGETLB, "MAP_HUGETLB" },
        { ABI_MAP_FIXED_NOREPLACE, "MAP_FIXED_NOREPLACE" },
    };
    add_bits(line, argument->value, names, ARRAY_SIZE(names));
}

void print_signal(struct strace_line *line, const struct strace_argument *argument)
{
    strace_add_signal(line, (int)argument->value);
}

void print_clock(struct strace_line *line, const struct strace_argument *argument)
{
    static const char *const names[] = {
        "CLOCK_REALTIME",          "CLOCK_MONOTONIC",     "CLOCK_PROCESS_CPUTIME_ID",
        "CLOCK_THREAD_CPUTIME_ID", "CLOCK_MONOTONIC_RAW", "CLOCK_REALTIME_COARSE",
        "CLOCK_MONOTONIC_COARSE",  "CLOCK_BOOTTIME",
    };
    if (argument->value < ARRAY_SIZE(names))
        strace_add(line, "%s", names[argument->value]);
    else
        print_int(line, argument);
}

void print_futex_op(struct strace_line *line, const struct strace_argument *argument)
{
    static const char *const names[] = {
        "FUTEX_WAIT",           "FUTEX_WAKE",        "FUTEX_FD",          "FUTEX_REQUEUE",
        "FUTEX_CMP_REQUEUE",    "FUTEX_WAKE_OP",     "FUTEX_LOCK_PI",     "FUTEX_UNLOCK_PI",
        "FUTEX_TRYLOCK_PI",     "FUTEX_WAIT_BITSET", "FUTEX_WAKE_BITSET", "FUTEX_WAIT_REQUEUE_PI",
        "FUTEX_CMP_REQUEUE_PI", "FUTEX_LOCK_PI2",
    };
    unsigned operation = (unsigned)argument->value & 0x7f;
    if (operation < ARRAY_SIZE(names))
        strace_add(line, "%s", names[operation]);
    else
        strace_add(line, "%#x", operation);
    if (argument->value & 128)
        strace_add(line, "|FUTEX_PRIVATE_FLAG");
    if (argument->value & 256)
        strace_add(line, "|FUTEX_CLOCK_REALTIME");
}
