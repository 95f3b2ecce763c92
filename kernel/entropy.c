// SPDX-License-Identifier: MIT
/*
 * The random pool.
 *
 * The pool is one 256-bit key.  What comes in is folded into it, 16 bytes a step, by HChaCha20,
 * which cannot be run backwards; so a bad contribution never hurts and a good one is never lost.
 * Each CPU has a generator of its own, keyed from the pool: a block of ChaCha20 gives a new key and
 * 32 bytes of output, and the old key is gone before the output is seen (Bernstein, "Fast-key-erasure
 * random-number generators").  A CPU fetches a new key when the pool has changed since.
 *
 * Locking: pool_lock (irq, because drivers add at interrupt level) covers the pool.  A generator is used
 * only by threads on its own CPU, and kernel code is not preempted: no lock.
 */
#include "kernel/entropy.h"

#include <string.h>

#include "arch/arch.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/spinlock.h"
#include "lib/chacha.h"

#define READY_BITS     256
#define JITTER_SAMPLES 64

struct generator {
    uint32_t key[CHACHA_KEY_WORDS];
    unsigned generation; /* of the pool when the key was fetched; 0: never */
} __aligned(64);

static struct spinlock pool_lock = SPINLOCK_INIT(RANK_ENTROPY);
static uint32_t pool_key[CHACHA_KEY_WORDS];
static unsigned pool_bits;
static unsigned pool_generation = 1; /* [a] */
static struct generator generators[CPUS_MAX];

static void pool_fold(const void *data, size_t len)
{
    uint32_t step[4] = { 0 };
    memcpy(step, data, len);
    chacha_derive(pool_key, step, pool_key);
}

void entropy_add(const void *data, size_t len, unsigned bits)
{
    unsigned long flags = spin_lock_irq(&pool_lock);
    for (size_t done = 0; done < len; done += 16)
        pool_fold((const uint8_t *)data + done, MIN(len - done, (size_t)16));
    /* The time of arrival tells an observer little more, but costs nothing. */
    uint64_t when[2] = { arch_cycles(), len };
    pool_fold(when, sizeof(when));
    pool_bits = MIN(pool_bits + bits, 4096u);
    __atomic_add_fetch(&pool_generation, 1, __ATOMIC_RELEASE);
    spin_unlock_irq(&pool_lock, flags);
}

bool entropy_is_ready(void)
{
    return READ_ONCE(pool_bits) >= READY_BITS;
}

/* How long small pieces of work take differs by cache misses, interrupts and the host. */
static unsigned jitter_collect(void)
{
    uint64_t sample[JITTER_SAMPLES];
    uint64_t last = arch_cycles();
    uint64_t previous_delta = 0;
    unsigned changes = 0;
    for (unsigned i = 0; i < JITTER_SAMPLES; i++) {
        uint32_t scratch[CHACHA_KEY_WORDS] = { (uint32_t)last };
        chacha_derive(scratch, scratch, scratch);
        uint64_t now = arch_cycles();
        sample[i] = now ^ ((uint64_t)scratch[0] << 32);
        changes += now - last != previous_delta;
        previous_delta = now - last;
        last = now;
    }
    entropy_add(sample, sizeof(sample), 0);
    return changes;
}

void entropy_init(void)
{
    uint64_t start[2] = { arch_cycles(), (uint64_t)arch_realtime_at_boot() };
    entropy_add(start, sizeof(start), 0);

    uint64_t word[8];
    unsigned count = 0;
    while (count < ARRAY_SIZE(word) && arch_random64(&word[count]))
        count++;
    if (count > 0)
        entropy_add(word, count * sizeof(word[0]), count * 64);
    if (entropy_is_ready())
        return;
    /*
     * No generator in the CPU, and virtio-rng answers later if it is there at all.  Waiting for it
     * could be for ever, so timing has to do, and the log says so.
     */
    unsigned changes = jitter_collect();
    entropy_add(&changes, sizeof(changes), READY_BITS);
    log_info("entropy: the CPU has no random generator; seeded from timing (%u of %u differ)",
             changes, JITTER_SAMPLES);
}

/* A fresh key for the CPU, and a fresh one for the pool, out of the pool's. */
static void generator_reseed(struct generator *generator)
{
    uint8_t block[CHACHA_BLOCK_BYTES];
    unsigned long flags = spin_lock_irq(&pool_lock);
    uint32_t input[4] = { 1, cpu_current(), (uint32_t)arch_cycles(), 0 };
    chacha_block(pool_key, input, block);
    memcpy(pool_key, block, sizeof(pool_key));
    for (size_t i = 0; i < CHACHA_KEY_WORDS; i++) {
        uint32_t fresh;
        memcpy(&fresh, block + 32 + 4 * i, sizeof(fresh));
        generator->key[i] ^= fresh;
    }
    generator->generation = __atomic_load_n(&pool_generation, __ATOMIC_RELAXED);
    spin_unlock_irq(&pool_lock, flags);
    memset(block, 0, sizeof(block));
    __asm__ volatile("" ::"r"(block) : "memory"); /* the erasure is not to be optimised away */
}

void random_bytes(void *buf, size_t len)
{
    struct generator *generator = &generators[cpu_current()];
    if (generator->generation != __atomic_load_n(&pool_generation, __ATOMIC_ACQUIRE))
        generator_reseed(generator);

    uint8_t block[CHACHA_BLOCK_BYTES];
    uint32_t input[4] = { 0 };
    chacha_block(generator->key, input, block);
    memcpy(generator->key, block, sizeof(generator->key));
    size_t first = MIN(len, (size_t)32);
    memcpy(buf, block + 32, first);
    if (len > first) {
        /* A long answer comes from a key of its own, which is the rest of the first block. */
        uint32_t key[CHACHA_KEY_WORDS];
        memcpy(key, block + 32, sizeof(key));
        for (size_t done = 0; done < len;) {
            input[0]++;
            input[1] += input[0] == 0;
            chacha_block(key, input, block);
            size_t part = MIN(len - done, sizeof(block));
            memcpy((uint8_t *)buf + done, block, part);
            done += part;
        }
        memset(key, 0, sizeof(key));
        __asm__ volatile("" ::"r"(key) : "memory");
    }
    memset(block, 0, sizeof(block));
    __asm__ volatile("" ::"r"(block) : "memory");
}

uint64_t random64(void)
{
    uint64_t value;
    random_bytes(&value, sizeof(value));
    return value;
}
