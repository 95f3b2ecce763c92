// SPDX-License-Identifier: MIT
/*
 * A C++ exception thrown by a SIGSEGV or SIGFPE handler, through the signal's frame and out of the function that
 * faulted (-fnon-call-exceptions).
 * test: flags=-fnon-call-exceptions,-O0 variants=dynamic,static
 */
#include <csignal>
#include <cstdio>
#include <stdexcept>
#include <unistd.h>

namespace
{

int *volatile nowhere;
volatile int zero;
int destroyed;

struct Guard {
    ~Guard()
    {
        destroyed++;
    }
};

void thrower(int number)
{
    throw std::runtime_error(number == SIGSEGV ? "segmentation fault" : "arithmetic");
}

__attribute__((noinline)) int faulting(int number)
{
    Guard guard;
    return number == SIGSEGV ? *nowhere : 1 / zero;
}

void attempt(int number)
{
    try {
        faulting(number);
        std::puts("no fault");
    } catch (const std::runtime_error &error) {
        std::printf("caught: %s\n", error.what());
    }
}

} // namespace

int main()
{
    struct sigaction action = {};
    action.sa_handler = thrower;
    action.sa_flags = SA_NODEFER;
    sigaction(SIGSEGV, &action, nullptr);
    sigaction(SIGFPE, &action, nullptr);
    for (int i = 0; i < 3; i++) {
        attempt(SIGSEGV);
        attempt(SIGFPE);
    }
    std::printf("%d destroyed\n", destroyed);
    return 0;
}
