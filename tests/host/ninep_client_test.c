// SPDX-License-Identifier: MIT
/*
 * Requests of 9P whose caller is killed while the server has them: Tflush, and whatever order the answers come in.
 * The test plays the server; a thread of the world is the caller.
 */
#include "fs/ninep/client.h"

#include "abi/errno.h"
#include "arch/host/machine.h"
#include "kernel/mm/heap.h"
#include "tests/host/check.h"
#include "tests/host/sched_world.h"

#define NRACES 300

/* ---- The server -------------------------------------------------------------------------- */

static struct spinlock server_lock; /* nothing is taken inside it */
static struct list inbox = LIST_INIT(inbox);
static unsigned nwaiting;   /* [a] requests in inbox */
static unsigned room = 128; /* server_lock: pieces, as in the ring of the common size */
static bool is_full;        /* [a] the ring has no room */
static unsigned nrefused;   /* [a] */

static int server_submit(struct ninepdev *dev, struct ninepdev_request *request)
{
    (void)dev;
    if (__atomic_load_n(&is_full, __ATOMIC_SEQ_CST)) {
        __atomic_fetch_add(&nrefused, 1, __ATOMIC_SEQ_CST);
        return -ENOSPC;
    }
    unsigned long flags = spin_lock_irq(&server_lock);
    bool fits = request->nout + request->nin <= room;
    if (fits) {
        room -= request->nout + request->nin;
        list_push_back(&inbox, &request->node);
    }
    spin_unlock_irq(&server_lock, flags);
    if (!fits)
        return -ENOSPC;
    __atomic_fetch_add(&nwaiting, 1, __ATOMIC_SEQ_CST);
    return 0;
}

static struct ninepdev dev = { .tag = "host0", .submit = server_submit };

static uint8_t type_of(const struct ninepdev_request *request)
{
    return ((const uint8_t *)request->out[0].data)[4];
}

static unsigned field16(const struct ninepdev_request *request, size_t at)
{
    const uint8_t *bytes = request->out[0].data;

    return bytes[at] | (unsigned)bytes[at + 1] << 8;
}

static unsigned tag_of(const struct ninepdev_request *request)
{
    return field16(request, 5);
}

static struct ninepdev_request *server_take(void)
{
    while (__atomic_load_n(&nwaiting, __ATOMIC_SEQ_CST) == 0)
        world_sleep(NSEC_PER_USEC);
    __atomic_fetch_sub(&nwaiting, 1, __ATOMIC_SEQ_CST);
    unsigned long flags = spin_lock_irq(&server_lock);
    struct ninepdev_request *request = list_first(&inbox, struct ninepdev_request, node);
    list_remove(&request->node);
    spin_unlock_irq(&server_lock, flags);
    return request;
}

static struct ninepdev_request *server_expect(enum ninep_type type)
{
    struct ninepdev_request *request = server_take();

    CHECK_EQ(type_of(request), type);
    return request;
}

/* len bytes come back, 0: it was given up.  From here on the request is its caller's again. */
static void server_return(struct ninepdev_request *request, size_t len)
{
    unsigned long flags = spin_lock_irq(&server_lock);
    room += request->nout + request->nin;
    spin_unlock_irq(&server_lock, flags);
    request->received = (uint32_t)len;
    __atomic_store_n(&request->is_done, true, __ATOMIC_RELEASE);
    wake_all(&dev.done);
}

static void server_answer(struct ninepdev_request *request)
{
    struct ninep_writer writer;
    uint8_t type = type_of(request);

    ninep_begin(&writer, request->in[0].data, request->in[0].len, type + 1,
                (uint16_t)tag_of(request));
    if (type == NINEP_VERSION) {
        ninep_put32(&writer, NINEP_DATA);
        ninep_put_string(&writer, "9P2000.L", 8);
    } else if (type == NINEP_WALK) {
        ninep_put16(&writer, 1);
    }
    CHECK(ninep_finish(&writer, 0));
    server_return(request, writer.used);
}

/* ---- The caller -------------------------------------------------------------------------- */

static struct ninep_client *client;
static struct ninep_fid *root;

struct caller {
    struct thread *thread;
    struct ninep_fid *found;
    int result;
};

static void read_file(void *arg)
{
    static uint8_t data[16];
    struct caller *caller = arg;

    caller->result = (int)ninep_read(root, 0, data, sizeof(data), true);
}

static void open_file(void *arg)
{
    struct caller *caller = arg;

    caller->result = ninep_lopen(root, 0);
}

static void walk_to_file(void *arg)
{
    struct caller *caller = arg;

    caller->result = ninep_walk(root, "file", &caller->found);
}

static void call_start(struct caller *caller, void (*function)(void *))
{
    *caller = (struct caller){ .result = 1 };
    caller->thread = world_spawn_app(function, caller);
}

static int call_end(struct caller *caller)
{
    world_join(caller->thread);
    return caller->result;
}

static void check_nothing_is_taken(unsigned nfids)
{
    CHECK_EQ(nwaiting, 0);
    CHECK_EQ(bitmap_find_clear(client->tags, NINEP_TAGS, 0), 0);
    for (size_t i = 0; i < BITMAP_WORDS(NINEP_TAGS); i++)
        CHECK_EQ(client->tags[i], 0);
    CHECK_EQ(bitmap_find_clear(client->fids, NINEP_FIDS, 0), nfids);
}

static void session_begin(void *arg)
{
    (void)arg;
    CHECK_EQ(ninep_client_create("host0", &client), 0);
    CHECK_EQ(ninep_fid_create(client, &root), 0);
}

/* ---- The tests --------------------------------------------------------------------------- */

/* A signal that does not kill is none of the server's business: the caller is woken and goes on to wait. */
static void test_answer_after_a_wake_up(void)
{
    struct caller caller;

    call_start(&caller, open_file);
    struct ninepdev_request *request = server_expect(NINEP_LOPEN);
    thread_wake(caller.thread);
    world_sleep(NSEC_PER_MSEC);
    CHECK_EQ(nwaiting, 0);
    server_answer(request);
    CHECK_EQ(call_end(&caller), 0);
    check_nothing_is_taken(1);
}

/* The request that Tflush names, and the Tflush. */
static void kill_in_call(struct caller *caller, void (*function)(void *),
                         struct ninepdev_request **request, struct ninepdev_request **flush)
{
    call_start(caller, function);
    *request = server_take();
    world_interrupt(caller->thread);
    *flush = server_expect(NINEP_FLUSH);
    CHECK_EQ(field16(*flush, NINEP_HEADER), tag_of(*request));
    CHECK(tag_of(*flush) != tag_of(*request));
}

/* QEMU's order: what is given up comes back empty, then Rflush. */
static void test_given_up(void)
{
    struct caller caller;
    struct ninepdev_request *request, *flush;

    kill_in_call(&caller, open_file, &request, &flush);
    server_return(request, 0);
    server_answer(flush);
    CHECK_EQ(call_end(&caller), -EINTR);
    check_nothing_is_taken(1);
}

/* The memory is the device's until the request itself is back, whatever Rflush says. */
static void test_flushed_first(void)
{
    struct caller caller;
    struct ninepdev_request *request, *flush;

    kill_in_call(&caller, open_file, &request, &flush);
    server_answer(flush);
    world_sleep(NSEC_PER_MSEC);
    CHECK_EQ(caller.result, 1);
    server_return(request, 0);
    CHECK_EQ(call_end(&caller), -EINTR);
    check_nothing_is_taken(1);
}

/* The server had done it already. */
static void test_answered_meanwhile(void)
{
    struct caller caller;
    struct ninepdev_request *request, *flush;

    kill_in_call(&caller, open_file, &request, &flush);
    server_answer(request);
    world_sleep(NSEC_PER_MSEC);
    CHECK_EQ(caller.result, 1); /* the tag must not be another's while the server may look for it */
    server_answer(flush);
    CHECK_EQ(call_end(&caller), 0);
    check_nothing_is_taken(1);
}

/* The server may know the fid that a walk was to make. */
static void test_fid_of_a_killed_walk(void)
{
    struct caller caller;
    struct ninepdev_request *request, *flush;

    kill_in_call(&caller, walk_to_file, &request, &flush);
    server_return(request, 0);
    server_answer(flush);
    server_answer(server_expect(NINEP_CLUNK));
    CHECK_EQ(call_end(&caller), -EINTR);
    CHECK(!caller.found);
    check_nothing_is_taken(1);
}

/* Then there is only the answer to wait for. */
static void test_no_memory_to_flush(void)
{
    struct caller caller;

    call_start(&caller, open_file);
    struct ninepdev_request *request = server_expect(NINEP_LOPEN);
    heap_fail_from(1);
    world_interrupt(caller.thread);
    world_sleep(NSEC_PER_MSEC);
    CHECK_EQ(nwaiting, 0);
    CHECK_EQ(caller.result, 1);
    heap_fail_from(0);
    server_answer(request);
    CHECK_EQ(call_end(&caller), 0);
    check_nothing_is_taken(1);
}

/* What the device never had needs no Tflush. */
static void test_killed_before_it_is_sent(void)
{
    struct caller caller;

    __atomic_store_n(&is_full, true, __ATOMIC_SEQ_CST);
    call_start(&caller, open_file);
    while (__atomic_load_n(&nrefused, __ATOMIC_SEQ_CST) == 0)
        world_sleep(NSEC_PER_USEC);
    world_interrupt(caller.thread);
    CHECK_EQ(call_end(&caller), -EINTR);
    __atomic_store_n(&is_full, false, __ATOMIC_SEQ_CST);
    check_nothing_is_taken(1);
}

/* More callers than tags: the last one waits for a tag, and can be killed there. */
static void test_killed_without_a_tag(void)
{
    static struct caller callers[NINEP_TAGS + 1];
    struct ninepdev_request *requests[NINEP_TAGS];

    for (unsigned i = 0; i < NINEP_TAGS; i++) {
        call_start(&callers[i], open_file);
        requests[i] = server_expect(NINEP_LOPEN);
    }
    call_start(&callers[NINEP_TAGS], open_file);
    world_sleep(NSEC_PER_MSEC);
    world_interrupt(callers[NINEP_TAGS].thread);
    CHECK_EQ(call_end(&callers[NINEP_TAGS]), -EINTR);
    for (unsigned i = 0; i < NINEP_TAGS; i++) {
        server_answer(requests[i]);
        CHECK_EQ(call_end(&callers[i]), 0);
    }
    check_nothing_is_taken(1);
}

/* A server that answers nothing but Tflush has all tags and fills the ring; who is killed comes back all the same. */
static void test_all_killed(void)
{
    static struct caller callers[NINEP_TAGS];
    struct ninepdev_request *requests[NINEP_TAGS], *flushes[NINEP_TAGS];

    for (unsigned i = 0; i < NINEP_TAGS; i++) {
        call_start(&callers[i], read_file);
        requests[i] = server_expect(NINEP_READ);
        CHECK_EQ(requests[i]->nout + requests[i]->nin, NINEPDEV_PIECES);
    }
    for (unsigned i = 0; i < NINEP_TAGS; i++) {
        world_interrupt(callers[i].thread);
        flushes[i] = server_expect(NINEP_FLUSH);
        CHECK_EQ(flushes[i]->nout + flushes[i]->nin, NINEPDEV_FLUSH_PIECES);
        CHECK_EQ(field16(flushes[i], NINEP_HEADER), tag_of(requests[i]));
        CHECK(tag_of(flushes[i]) >= NINEP_TAGS &&
              (i == 0 || tag_of(flushes[i]) != tag_of(flushes[i - 1])));
    }
    for (unsigned i = 0; i < NINEP_TAGS; i++) {
        server_return(requests[i], 0);
        server_answer(flushes[i]);
        CHECK_EQ(call_end(&callers[i]), -EINTR);
    }
    check_nothing_is_taken(1);
}

/* ---- Answers and signals at once -------------------------------------------------------- */

static void interrupt_thread(void *arg)
{
    world_interrupt(arg);
}

/* Serves one open that is killed at about the same moment; whether the server gives it up changes from call to call. */
static void race_once(bool gives_up)
{
    struct caller caller;

    call_start(&caller, open_file);
    struct thread *thread = caller.thread;
    thread_get(thread);
    struct ninepdev_request *request = server_take(), *flush = NULL;
    struct thread *killer = world_spawn(interrupt_thread, thread);
    if (gives_up) {
        flush = server_expect(NINEP_FLUSH);
        server_return(request, 0);
    } else {
        server_answer(request);
    }
    while (__atomic_load_n(&thread->state, __ATOMIC_ACQUIRE) != THREAD_DEAD) {
        if (!flush && __atomic_load_n(&nwaiting, __ATOMIC_SEQ_CST))
            flush = server_expect(NINEP_FLUSH);
        if (flush)
            server_answer(flush);
        flush = NULL;
        world_sleep(NSEC_PER_USEC);
    }
    world_join(killer);
    CHECK_EQ(call_end(&caller), gives_up ? -EINTR : 0);
    thread_put(thread);
    check_nothing_is_taken(1);
}

static void test(void)
{
    spin_init(&server_lock, RANK_DRIVER);
    ninepdev_register(&dev);
    struct thread *mounter = world_spawn(session_begin, NULL);
    server_answer(server_expect(NINEP_VERSION));
    world_join(mounter);

    test_answer_after_a_wake_up();
    test_given_up();
    test_flushed_first();
    test_answered_meanwhile();
    test_fid_of_a_killed_walk();
    test_no_memory_to_flush();
    test_killed_before_it_is_sent();
    test_killed_without_a_tag();
    test_all_killed();
    for (unsigned i = 0; i < NRACES; i++)
        race_once(i % 3 == 0);
    kfree(root);
    ninep_client_destroy(client);
}

int main(int argc, char **argv)
{
    machine_run(argc > 1 ? (unsigned)atoi(argv[1]) : 3, argc > 2 ? (uint64_t)atoi(argv[2]) : 1,
                test);
}
