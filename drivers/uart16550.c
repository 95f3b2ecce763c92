// SPDX-License-Identifier: MIT
/*
 * The 16550 at I/O port 0x3f8.
 *
 * Output is polled, because the log must work at interrupt level, in a panic and before interrupts
 * exist.  Whenever the transmitter is empty its FIFO takes 16 bytes, so the line status is asked
 * once for 16 characters: each access of a port leaves the virtual machine.
 *
 * Input is interrupt-driven into a small ring; when it is full, characters are dropped, as a
 * terminal without flow control does.
 *
 * Locking: uart.lock (irq spinlock) covers the input ring.  Output is serialised by the log.
 */
#include "drivers/uart16550.h"

#include "abi/poll.h"
#include "arch/arch.h"
#include "kernel/console.h"
#include "kernel/log.h"
#include "kernel/spinlock.h"

#define COM1     0x3f8
#define COM1_IRQ 4

/* Registers, and the bits of them that are used (PC16550D data sheet, 8). */
#define UART_DATA         0
#define UART_DIVISOR_LOW  0 /* with LCR_DIVISOR */
#define UART_IER          1
#define UART_DIVISOR_HIGH 1 /* with LCR_DIVISOR */
#define UART_FCR          2
#define UART_LCR          3
#define UART_MCR          4
#define UART_LSR          5
#define UART_SCRATCH      7

#define IER_RECEIVED 0x01
#define FCR_ENABLE   0x07 /* and both FIFOs cleared */
#define LCR_8N1      0x03
#define LCR_DIVISOR  0x80
#define MCR_DTR_RTS  0x03
#define MCR_OUT2     0x08 /* connects the interrupt */
#define LSR_RECEIVED 0x01
#define LSR_EMPTY    0x20

#define FIFO_SIZE 16
#define SPINS_MAX 100000 /* a real port at 115200 baud needs some 1400 us for a FIFO */
#define RING_SIZE 256    /* a power of two */

static struct {
    bool is_present;
    struct spinlock lock;
    unsigned head, tail; /* [lock] counts of bytes put in and taken out */
    uint8_t ring[RING_SIZE];
    struct wait_queue readers;
    struct poll_head poll;
} uart = { .lock = SPINLOCK_INIT(RANK_DRIVER) };

static uint8_t uart_read(unsigned reg)
{
    return arch_port_read8((uint16_t)(COM1 + reg));
}

static void uart_write(unsigned reg, uint8_t value)
{
    arch_port_write8((uint16_t)(COM1 + reg), value);
}

static bool uart_is_there(void)
{
    if (uart_read(UART_LSR) == 0xff)
        return false;
    uart_write(UART_SCRATCH, 0x5a);
    if (uart_read(UART_SCRATCH) != 0x5a)
        return false;
    uart_write(UART_SCRATCH, 0xa5);
    return uart_read(UART_SCRATCH) == 0xa5;
}

/* False: the transmitter is stuck (no cable with flow control, a host that does not read). */
static bool uart_wait_empty(void)
{
    for (unsigned spins = 0; spins < SPINS_MAX; spins++) {
        if (uart_read(UART_LSR) & LSR_EMPTY)
            return true;
        arch_pause();
    }
    return false;
}

static void uart_sink(const char *text, size_t len)
{
    unsigned room = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned need = text[i] == '\n' ? 2 : 1;
        if (room < need) {
            if (!uart_wait_empty())
                return;
            room = FIFO_SIZE;
        }
        if (text[i] == '\n')
            uart_write(UART_DATA, '\r');
        uart_write(UART_DATA, (uint8_t)text[i]);
        room -= need;
    }
}

void uart_early_init(void)
{
    if (!uart_is_there())
        return;
    uart_write(UART_IER, 0);
    uart_write(UART_LCR, LCR_DIVISOR);
    uart_write(UART_DIVISOR_LOW, 1); /* 115200 baud */
    uart_write(UART_DIVISOR_HIGH, 0);
    uart_write(UART_LCR, LCR_8N1);
    uart_write(UART_FCR, FCR_ENABLE);
    uart_write(UART_MCR, MCR_DTR_RTS);
    uart.is_present = true;
    log_set_sink(uart_sink);
}

/* ---- Input ----------------------------------------------------------------- */

static bool uart_has_input(void)
{
    return __atomic_load_n(&uart.head, __ATOMIC_ACQUIRE) !=
           __atomic_load_n(&uart.tail, __ATOMIC_ACQUIRE);
}

static void uart_interrupt(void *arg)
{
    bool got_any = false;
    unsigned long flags = spin_lock_irq(&uart.lock);
    for (unsigned i = 0; i < RING_SIZE && uart_read(UART_LSR) & LSR_RECEIVED; i++) {
        uint8_t byte = uart_read(UART_DATA);
        if (uart.head - uart.tail < RING_SIZE) {
            uart.ring[uart.head % RING_SIZE] = byte;
            __atomic_store_n(&uart.head, uart.head + 1, __ATOMIC_RELEASE);
        }
        got_any = true;
    }
    spin_unlock_irq(&uart.lock, flags);
    if (!got_any)
        return;
    wake_all(&uart.readers);
    poll_wake(&uart.poll, ABI_POLLIN);
}

static size_t uart_take(uint8_t *buf, size_t len)
{
    size_t n = 0;
    unsigned long flags = spin_lock_irq(&uart.lock);
    while (n < len && uart.tail != uart.head) {
        buf[n++] = uart.ring[uart.tail % RING_SIZE];
        __atomic_store_n(&uart.tail, uart.tail + 1, __ATOMIC_RELEASE);
    }
    spin_unlock_irq(&uart.lock, flags);
    return n;
}

static long uart_console_read(void *device, void *buf, size_t len, bool nonblock)
{
    if (len == 0)
        return 0;
    for (;;) {
        size_t n = uart_take(buf, len);
        if (n > 0)
            return (long)n;
        if (nonblock)
            return -EAGAIN;
        int err = wait_on(&uart.readers, uart_has_input(), DEADLINE_NONE);
        if (err)
            return err;
    }
}

static unsigned uart_console_poll(void *device)
{
    return uart_has_input() ? ABI_POLLIN : 0;
}

static struct poll_head *uart_console_poll_head(void *device)
{
    return &uart.poll;
}

static const struct console_ops uart_input_ops = {
    .read = uart_console_read,
    .poll = uart_console_poll,
    .poll_head = uart_console_poll_head,
};

int uart_register_stdin(void)
{
    if (!uart.is_present)
        return -ENODEV;
    wait_queue_init(&uart.readers);
    poll_head_init(&uart.poll);

    bool level, active_low;
    unsigned gsi = arch_isa_irq(COM1_IRQ, &level, &active_low);
    int err = arch_irq_connect(gsi, level, active_low, uart_interrupt, NULL);
    if (err)
        return err;
    uart_write(UART_MCR, MCR_DTR_RTS | MCR_OUT2);
    uart_write(UART_IER, IER_RECEIVED);
    console_register(CONSOLE_STDIN, &uart_input_ops, NULL);
    return 0;
}
