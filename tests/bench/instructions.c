// SPDX-License-Identifier: MIT
/*
 * A QEMU plugin that counts the guest's instructions and the blocks of code that ran, those of the kernel (the upper
 * half of the addresses, in either guest) apart from the program's:
 *
 *     -plugin file=instructions.so,counts=FILE      FILE then holds four 64-bit numbers, which always tell the present
 *
 * So what a request costs can be read from outside, whatever else the host does and however long the guest waited.
 * Exact with one processor (the counters are not atomic).
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* From QEMU's qemu-plugin.h, which Debian does not package. */
typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_info;
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
                                           void (*callback)(qemu_plugin_id_t id,
                                                            struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, enum qemu_plugin_op op,
                                              void *pointer, uint64_t number);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

static struct {
    uint64_t instructions;
    uint64_t blocks;
} * counts; /* [0] the program's, [1] the kernel's */

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    int kernel = qemu_plugin_tb_vaddr(tb) >> 63;
    qemu_plugin_register_vcpu_tb_exec_inline(
        tb, QEMU_PLUGIN_INLINE_ADD_U64, &counts[kernel].instructions, qemu_plugin_tb_n_insns(tb));
    qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64, &counts[kernel].blocks,
                                             1);
}

__attribute__((visibility("default"))) int
qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc, char **argv)
{
    if (argc != 1 || strncmp(argv[0], "counts=", 7) != 0)
        return -1;
    int fd = open(argv[0] + 7, O_RDWR | O_CREAT, 0600);
    if (fd < 0 || ftruncate(fd, 2 * sizeof(*counts)))
        return -1;
    counts = mmap(NULL, 2 * sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (counts == MAP_FAILED)
        return -1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
