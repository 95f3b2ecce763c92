// SPDX-License-Identifier: MIT
/*
 * Thread-local storage, setjmp, ucontext, dlopen, weak symbols, constructors, alloca.
 * test: flags=-pthread,-rdynamic cpus=2
 */
#include "check.h"

#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <ucontext.h>

static __thread int initialised = 7;
static __thread char big[100000] __attribute__((aligned(64)));
static int constructed;
int not_there(void) __attribute__((weak));

__attribute__((constructor)) static void construct(void)
{
    constructed = 1;
}

__attribute__((destructor)) static void destruct(void)
{
    puts("destructor");
}

static void *thread_tls(void *arg)
{
    CHECK(initialised == 7 && (uintptr_t)big % 64 == 0);
    for (unsigned i = 0; i < sizeof big; i++)
        if (big[i])
            CHECK(!"zero");
    initialised = (int)(long)arg;
    memset(big, 1, sizeof big);
    sleep_ms(5);
    CHECK(initialised == (int)(long)arg);
    return NULL;
}

static jmp_buf back;
static ucontext_t main_context, other_context;
static volatile int visited;

static int deep(int n)
{
    volatile char frame[1000];

    frame[0] = 1;
    if (n == 0)
        longjmp(back, 42);
    return n > 0 ? deep(n - 1) + frame[0] : 0;
}

static void coroutine(void)
{
    for (int i = 0; i < 3; i++) {
        visited++;
        swapcontext(&other_context, &main_context);
    }
}

static void test_contexts(void)
{
    static char stack[65536];

    int value = setjmp(back);
    if (value == 0)
        deep(50);
    CHECK(value == 42);
    getcontext(&other_context);
    other_context.uc_stack.ss_sp = stack;
    other_context.uc_stack.ss_size = sizeof stack;
    other_context.uc_link = &main_context;
    makecontext(&other_context, coroutine, 0);
    for (int i = 0; i < 4; i++)
        swapcontext(&main_context, &other_context);
    CHECK(visited == 3);
}

int main(void)
{
    pthread_t threads[8];

    CHECK(constructed == 1 && !not_there);
    for (long i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, thread_tls, (void *)(i + 100));
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    CHECK(initialised == 7);
    test_contexts();
    void *self = dlopen(NULL, RTLD_NOW);
    CHECK(self && dlsym(self, "main") == (void *)main);
    CHECK(!dlopen("libnotthere.so.1", RTLD_NOW) && strstr(dlerror(), "libnotthere.so.1"));
    Dl_info info;
    CHECK(dladdr((void *)puts, &info) && info.dli_fname);
    return check_end();
}
