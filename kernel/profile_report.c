// SPDX-License-Identifier: MIT
/*
 * Telling the tool of the samples, by lines on the control channel (scripts/stout_tool/profile/samples.py reads them):
 *
 *   profile begin HZ CPUS
 *   profile maps PID            a new list of what the process may execute, which holds from here on
 *   profile map PID START END OFFSET PATH      one of it; no path: anonymous memory
 *   profile jit PID LINE        of /tmp/perf-PID.map
 *   profile sample CPU NS PID TID FLAGS NAME k ADDRESS... w WORD... u PC SP FP BYTES s OFFSET:WORD...
 *   profile counts CPU IDLE LOST LATE
 *   profile end
 *
 * All numbers are hexadecimal.  Of the application's stack the words are sent that lie in executable memory or on
 * the stack itself: return addresses and frame pointers are among them, and that is all that unwinding reads.
 *
 * One thread does all this, so nothing here has a lock.  profile_flush() asks it and waits.
 */
#include <string.h>

#include "abi/errno.h"
#include "kernel/control.h"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/map_source.h"
#include "kernel/mm/vmspace.h"
#include "kernel/options.h"
#include "kernel/percpu.h"
#include "kernel/process.h"
#include "kernel/profile.h"
#include "kernel/thread.h"
#include "lib/format.h"

#define LINE_BYTES    32768u
#define BUFFER_BYTES  65536u /* two lines */
#define NUMBER_BYTES  18u    /* a blank, 16 digits and one to spare */
#define INTERVAL      (100 * NSEC_PER_MSEC)
#define COUNTS_EVERY  10u /* intervals */
#define RANGES_MAX    512u
#define PROCESSES_MAX 16u
#define JIT_CHUNK     4096u
#define STACK_SLACK   65536u /* frame pointers may point above what was copied */

struct range {
    uintptr_t start, end, offset;
    struct file *file; /* with a reference while the list is made and sent */
};

/* What the tool knows of a process. */
struct known_process {
    int pid;
    uint64_t hash; /* of its ranges as they were sent */
    uint64_t jit_offset;
};

static struct {
    struct wait_queue wanted, done;
    bool has_thread;
    unsigned hz_wanted;                 /* [a] */
    unsigned hz;                        /* what runs now */
    unsigned nflushes, nflushes_wanted; /* [a] */
    bool is_half_full;                  /* [a] */
    uint64_t cpus;                      /* whose timers run */
    unsigned nintervals;
    char *buffer; /* lines that go together: each message to the host costs more than its bytes */
    size_t len, line_start;
    int ranges_pid; /* whose ranges these are; -1: to be looked at */
    unsigned nranges;
    struct range *ranges;
    struct known_process processes[PROCESSES_MAX];
    unsigned next_process;
} reporter = { .wanted = WAIT_QUEUE_INIT(reporter.wanted), .done = WAIT_QUEUE_INIT(reporter.done) };

/* ---- Lines ------------------------------------------------------------------------------ */

static void add_char(char c)
{
    reporter.buffer[reporter.len++] = c;
}

static void add_hex(char before, uint64_t value)
{
    static const char digits[] = "0123456789abcdef";
    int shift = value ? 60 - __builtin_clzll(value) / 4 * 4 : 0;
    add_char(before);
    for (; shift >= 0; shift -= 4)
        add_char(digits[value >> shift & 15]);
}

static bool has_room(size_t nnumbers)
{
    return LINE_BYTES - (reporter.len - reporter.line_start) > nnumbers * NUMBER_BYTES;
}

/* A word without blanks, or with is_last the rest of the line. */
static void add_text(const char *text, size_t max, bool is_last)
{
    add_char(' ');
    for (size_t i = 0; i < max && text[i]; i++) {
        unsigned char c = (unsigned char)text[i];
        bool is_plain = c > ' ' || (is_last && c == ' ');
        add_char((char)(is_plain ? c : '?'));
    }
}

static void write_out(void)
{
    if (reporter.len > 0)
        control_write(reporter.buffer, reporter.len);
    reporter.len = 0;
}

static void begin(const char *word)
{
    if (BUFFER_BYTES - reporter.len < LINE_BYTES)
        write_out();
    reporter.line_start = reporter.len;
    add_text("profile", SIZE_MAX, true);
    reporter.buffer[reporter.line_start] =
        '\n'; /* whatever was being written when a machine died */
    add_text(word, SIZE_MAX, true);
}

static void send(void)
{
    add_char('\n');
}

/* ---- Processes ---------------------------------------------------------------------------- */

static bool range_add(const struct mapping *mapping, void *arg)
{
    if (!(mapping->prot & ABI_PROT_EXEC))
        return true;
    if (reporter.nranges == RANGES_MAX)
        return false;
    reporter.ranges[reporter.nranges++] = (struct range){
        .start = mapping->start,
        .end = mapping->end,
        .offset = mapping->offset,
        .file = mapping->file ? file_get(mapping->file) : NULL,
    };
    return true;
}

static struct known_process *process_known(int pid)
{
    for (unsigned i = 0; i < PROCESSES_MAX; i++) {
        if (reporter.processes[i].pid == pid)
            return &reporter.processes[i];
    }
    struct known_process *known = &reporter.processes[reporter.next_process++ % PROCESSES_MAX];
    *known = (struct known_process){ .pid = pid };
    return known;
}

static uint64_t ranges_hash(void)
{
    uint64_t hash = 0xcbf29ce484222325; /* FNV-1a, a word at a time */
    for (unsigned i = 0; i < reporter.nranges; i++) {
        const struct range *range = &reporter.ranges[i];
        hash = (hash ^ range->start) * 0x100000001b3;
        hash = (hash ^ range->end) * 0x100000001b3;
        hash = (hash ^ (uintptr_t)range->file) * 0x100000001b3;
    }
    return hash | 1;
}

static void ranges_send(int pid)
{
    char path[512];
    begin("maps");
    add_hex(' ', (unsigned)pid);
    send();
    for (unsigned i = 0; i < reporter.nranges; i++) {
        const struct range *range = &reporter.ranges[i];
        begin("map");
        add_hex(' ', (unsigned)pid);
        add_hex(' ', range->start);
        add_hex(' ', range->end);
        add_hex(' ', range->offset);
        if (range->file && map_source_path(range->file, path, sizeof(path)) >= 0)
            add_text(path, sizeof(path), true);
        send();
    }
}

/* Sends what there is up to the last newline; how many bytes that were. */
static size_t jit_send(int pid, const char *text, size_t len)
{
    size_t done = 0;
    const char *end;
    while ((end = memchr(text + done, '\n', len - done))) {
        begin("jit");
        add_hex(' ', (unsigned)pid);
        add_text(text + done, (size_t)(end - text) - done, true);
        send();
        done = (size_t)(end - text) + 1;
    }
    return done;
}

static void jit_read(struct known_process *known)
{
    char *buf = kmalloc(JIT_CHUNK, ALLOC_WAIT);
    long len;
    if (!buf)
        return;
    while ((len = profile_read_jit_map(known->pid, known->jit_offset, buf, JIT_CHUNK)) > 0) {
        size_t done = jit_send(known->pid, buf, (size_t)len);
        if (done == 0 && len == JIT_CHUNK)
            done = JIT_CHUNK; /* no line that anybody could use */
        if (done == 0)
            break;
        known->jit_offset += done;
    }
    kfree(buf);
}

static void process_look(int pid)
{
    struct process *process = pid > 0 ? process_find(pid) : NULL;
    struct vmspace *vm = process ? process_vmspace(process) : NULL;
    bool has_jit = false;
    reporter.ranges_pid = pid;
    reporter.nranges = 0;
    if (vm) {
        vmspace_for_each(vm, range_add, NULL);
        vmspace_put(vm);
    }
    struct known_process *known = reporter.nranges ? process_known(pid) : NULL;
    if (known && known->hash != ranges_hash()) {
        known->hash = ranges_hash();
        ranges_send(pid);
    }
    for (unsigned i = 0; i < reporter.nranges; i++) {
        struct range *range = &reporter.ranges[i];
        has_jit |= !range->file;
        if (range->file)
            file_put(range->file);
    }
    if (known && has_jit)
        jit_read(known);
    if (process)
        process_put(process);
}

/* ---- Samples --------------------------------------------------------------------------------- */

static bool is_executable(uintptr_t address)
{
    unsigned low = 0, high = reporter.nranges;
    if (high == 0 || address < reporter.ranges[0].start)
        return false;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        const struct range *range = &reporter.ranges[middle];
        if (address < range->start)
            high = middle;
        else if (address >= range->end)
            low = middle + 1;
        else
            return true;
    }
    return false;
}

static void add_stack(const struct profile_sample *sample)
{
    const uintptr_t *word = sample->data + sample->nframes;
    add_text("u", 1, false);
    add_hex(' ', sample->pc);
    add_hex(' ', sample->sp);
    add_hex(' ', sample->fp);
    add_hex(' ', sample->stack_bytes);
    add_text("s", 1, false);
    uintptr_t span = sample->stack_bytes + STACK_SLACK;
    for (size_t i = 0; i < sample->stack_bytes / sizeof(*word) && has_room(3); i++) {
        if (word[i] - sample->sp < span || is_executable(word[i])) {
            add_hex(' ', i * sizeof(*word));
            add_hex(':', word[i]);
        }
    }
}

static void sample_send(unsigned cpu, const struct profile_sample *sample)
{
    begin("sample");
    add_hex(' ', cpu);
    add_hex(' ', (uint64_t)sample->time);
    add_hex(' ', (unsigned)sample->pid);
    add_hex(' ', (unsigned)sample->tid);
    add_hex(' ', sample->flags);
    add_text(sample->name[0] ? sample->name : "?", sizeof(sample->name), false);
    add_text("k", 1, false);
    for (unsigned i = 0; i < sample->nframes; i++)
        add_hex(' ', sample->data[i]);
    add_text("w", 1, false);
    for (unsigned i = 0; i < sample->nwords; i++)
        add_hex(' ', sample->words[i]);
    if (sample->pc)
        add_stack(sample);
    send();
}

static void counts_send(void)
{
    for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++) {
        struct profile_cpu_counts counts;
        profile_get_counts(cpu, &counts);
        if (!(reporter.cpus >> cpu & 1))
            continue;
        begin("counts");
        add_hex(' ', cpu);
        add_hex(' ', counts.nidle);
        add_hex(' ', counts.nlost);
        add_hex(' ', counts.nlate);
        send();
    }
}

static void drain(void)
{
    struct profile_sample *sample;
    reporter.ranges_pid = -1; /* they may have changed since the last time */
    for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++) {
        while ((sample = profile_first(cpu))) {
            if (sample->pid != reporter.ranges_pid)
                process_look(sample->pid);
            sample_send(cpu, sample);
            profile_release(cpu);
        }
    }
}

/* ---- Start and stop ------------------------------------------------------------------------------ */

/* Also CPUs that have come up since. */
static void start_timers(void)
{
    uint64_t new = cpus_online() & ~reporter.cpus;
    for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++) {
        if ((new >> cpu & 1) && profile_alloc(cpu)) {
            log_warning_once("profile: not enough memory for the samples of each CPU");
            new &= ~(1ULL << cpu);
        }
    }
    if (!new)
        return;
    reporter.cpus |= new;
    profile_start_on(new, reporter.hz);
}

static void start(unsigned hz)
{
    memset(reporter.processes, 0, sizeof(reporter.processes));
    reporter.hz = hz;
    reporter.cpus = 0;
    begin("begin");
    add_hex(' ', hz);
    add_hex(' ', arch_cpu_count());
    send();
}

static void stop(void)
{
    profile_stop_all();
    drain();
    counts_send();
    for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++)
        profile_free(cpu);
    reporter.hz = 0;
    begin("end");
    send();
    write_out();
}

static bool has_work(void)
{
    return __atomic_load_n(&reporter.nflushes_wanted, __ATOMIC_ACQUIRE) != reporter.nflushes ||
           READ_ONCE(reporter.hz_wanted) != reporter.hz || READ_ONCE(reporter.is_half_full);
}

static void report_thread(void *arg)
{
    for (;;) {
        nsec_t deadline = reporter.hz ? arch_clock_ns() + INTERVAL : DEADLINE_NONE;
        (void)wait_on_always(&reporter.wanted, has_work(), deadline);
        unsigned nflushes = __atomic_load_n(&reporter.nflushes_wanted, __ATOMIC_ACQUIRE);
        unsigned hz = READ_ONCE(reporter.hz_wanted);
        WRITE_ONCE(reporter.is_half_full, false);
        if (reporter.hz && reporter.hz != hz)
            stop();
        if (hz && reporter.hz != hz)
            start(hz);
        if (reporter.hz) {
            start_timers();
            drain();
            if (reporter.nintervals++ % COUNTS_EVERY == 0)
                counts_send();
            write_out();
        }
        __atomic_store_n(&reporter.nflushes, nflushes, __ATOMIC_RELEASE);
        wake_all(&reporter.done);
    }
}

static void flush(void)
{
    unsigned ticket = __atomic_add_fetch(&reporter.nflushes_wanted, 1, __ATOMIC_ACQ_REL);
    wake_all(&reporter.wanted);
    (void)wait_on_always(&reporter.done,
                         (int)(__atomic_load_n(&reporter.nflushes, __ATOMIC_ACQUIRE) - ticket) >= 0,
                         DEADLINE_NONE);
}

void profile_flush(void)
{
    if (unlikely(READ_ONCE(profile_is_on)))
        flush();
}

void profile_finish(void)
{
    if (likely(!READ_ONCE(profile_is_on)))
        return;
    WRITE_ONCE(reporter.hz_wanted, 0);
    flush();
}

void profile_wake_reporter(void)
{
    WRITE_ONCE(reporter.is_half_full, true);
    wake_all(&reporter.wanted);
}

static int make_thread(void)
{
    if (reporter.has_thread)
        return 0;
    char *buffer = kmalloc(BUFFER_BYTES, ALLOC_WAIT);
    struct range *ranges = kcalloc(RANGES_MAX, sizeof(*ranges), ALLOC_WAIT);
    struct thread *thread =
        buffer && ranges ? thread_create_kernel("profile", report_thread, NULL) : NULL;
    if (!thread) {
        kfree(buffer);
        kfree(ranges);
        return -ENOMEM;
    }
    reporter.buffer = buffer;
    reporter.ranges = ranges;
    reporter.has_thread = true;
    thread_start(thread); /* for good */
    return 0;
}

/* In the control thread, or before it is. */
static void want(unsigned hz)
{
    if (hz && make_thread()) {
        log_warning("profile: not enough memory");
        return;
    }
    WRITE_ONCE(reporter.hz_wanted, hz);
    wake_all(&reporter.wanted);
}

static bool handle_profile(const char *rest)
{
    unsigned hz;
    if (!control_numbers(rest, ' ', PROFILE_HZ_MAX, &hz, 1))
        return false;
    want(hz);
    return true;
}

void profile_init(void)
{
    control_register("profile", handle_profile);
    want((unsigned)MIN(option_number("profile", 0), (uint64_t)PROFILE_HZ_MAX));
}
