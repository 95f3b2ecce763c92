// SPDX-License-Identifier: MIT
/* lib/record_ring.c: what goes in comes out, whole and in order; also from another thread. */
#include "lib/record_ring.h"

#include <pthread.h>
#include <string.h>

#include "tests/host/check.h"

#define RING_SIZE 4096u
#define RECORDS   200000u
#define LEN_MAX   700u

static uint64_t memory[RING_SIZE / sizeof(uint64_t)];
static struct record_ring ring;

static size_t len_of(unsigned n)
{
    return 1 + n * 2654435761u % LEN_MAX;
}

static bool put(unsigned n)
{
    unsigned char *record = record_ring_reserve(&ring, LEN_MAX);
    if (!record)
        return false;
    CHECK((uintptr_t)record % RECORD_ALIGN == 0);
    memset(record, (int)(n & 255), len_of(n));
    if (n % 7 == 0)
        record_ring_commit(&ring, record, 0); /* not this time */
    record_ring_commit(&ring, record, len_of(n));
    return true;
}

static bool take(unsigned n)
{
    size_t len;
    const unsigned char *record = record_ring_first(&ring, &len);
    if (!record)
        return false;
    CHECK_EQ(len, len_of(n));
    for (size_t i = 0; i < len; i++)
        CHECK_EQ(record[i], n & 255);
    record_ring_release(&ring);
    return true;
}

static void test_full_and_empty(void)
{
    unsigned put_next = 0, taken = 0;
    record_ring_init(&ring, memory, RING_SIZE);
    CHECK(!take(0));
    for (unsigned round = 0; round < 1000; round++) {
        while (put(put_next))
            put_next++;
        CHECK(record_ring_used(&ring) + LEN_MAX + 8 > RING_SIZE / 2);
        for (unsigned i = 0; i < 1 + round % 5; i++)
            taken += take(taken);
    }
    while (take(taken))
        taken++;
    CHECK_EQ(taken, put_next);
    CHECK_EQ(record_ring_used(&ring), 0);
}

static void test_largest(void)
{
    record_ring_init(&ring, memory, RING_SIZE);
    CHECK(!record_ring_reserve(&ring, RING_SIZE));
    CHECK(record_ring_reserve(&ring, RING_SIZE - 8) != NULL);
}

static void *writer(void *arg)
{
    for (unsigned n = 0; n < RECORDS;)
        n += put(n);
    return NULL;
}

static void test_threads(void)
{
    pthread_t thread;
    record_ring_init(&ring, memory, RING_SIZE);
    CHECK(pthread_create(&thread, NULL, writer, NULL) == 0);
    for (unsigned n = 0; n < RECORDS;)
        n += take(n);
    pthread_join(thread, NULL);
}

int main(void)
{
    test_full_and_empty();
    test_largest();
    test_threads();
    return 0;
}
