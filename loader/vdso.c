// SPDX-License-Identifier: MIT
/*
 * The vDSO: a small shared object (loader/vdso/, built apart and embedded here) that every program finds
 * through AT_SYSINFO_EHDR.  Its functions tell the time without a system call, from the page of clock
 * data (kernel/vdso_data.h) that is mapped right below it.
 *
 * Both are page caches like any file's, so mapping, forking and unmapping them need no code of their own.
 */
#include <string.h>

#include "abi/errno.h"
#include "kernel/log.h"
#include "kernel/mm/pagecache.h"
#include "kernel/options.h"
#include "kernel/vdso_data.h"
#include "loader/exec.h"

extern const char vdso_image_start[], vdso_image_end[];

static struct pagecache *code; /* NULL: there is no vDSO */
static struct pagecache *data;

static size_t code_size(void)
{
    return ALIGN_UP((size_t)(vdso_image_end - vdso_image_start), PAGE_SIZE);
}

static int code_make(void)
{
    size_t size = (size_t)(vdso_image_end - vdso_image_start);
    int err = pagecache_create(NULL, NULL, &code);
    if (err)
        return err;
    pagecache_set_size(code, code_size());
    for (size_t at = 0; at < size && !err; at += PAGE_SIZE) {
        struct frame *frame;
        err = pagecache_page(code, at / PAGE_SIZE, true, &frame);
        if (err)
            break;
        memcpy(frame_address(frame), vdso_image_start + at, MIN(size - at, PAGE_SIZE));
        frame_put(frame);
    }
    return err;
}

static int data_make(void)
{
    struct frame *frame;
    int err = pagecache_create(NULL, NULL, &data);
    if (err)
        return err;
    pagecache_set_size(data, PAGE_SIZE);
    err = pagecache_page(data, 0, true, &frame);
    if (!err)
        vdso_attach(frame_address(frame)); /* the reference is kept for ever */
    return err;
}

void vdso_init(void)
{
    if (!option_bool("vdso", true))
        return;
    int err = code_make();
    if (!err)
        err = data_make();
    if (!err)
        return;
    log_warning("there is no memory for the vDSO");
    if (code)
        pagecache_put(code);
    if (data)
        pagecache_put(data);
    code = NULL;
}

static int map_data(struct vmspace *vm, uintptr_t at)
{
    uintptr_t where;
    return vmspace_map(vm,
                       &(struct vmspace_map_args){
                           .address = at,
                           .length = PAGE_SIZE,
                           .prot = ABI_PROT_READ,
                           .max_prot = ABI_PROT_READ,
                           .flags = ABI_MAP_SHARED | ABI_MAP_FIXED,
                           .cache = data,
                           .name = "[vvar]",
                       },
                       &where);
}

static int map_code(struct vmspace *vm, uintptr_t at)
{
    uintptr_t where;
    return vmspace_map(vm,
                       &(struct vmspace_map_args){
                           .address = at,
                           .length = code_size(),
                           .prot = ABI_PROT_READ | ABI_PROT_EXEC,
                           .max_prot = ABI_PROT_READ | ABI_PROT_WRITE | ABI_PROT_EXEC,
                           .flags = ABI_MAP_PRIVATE | ABI_MAP_FIXED,
                           .cache = code,
                           .name = "[vdso]",
                       },
                       &where);
}

int vdso_map(struct vmspace *vm, uintptr_t *base)
{
    uintptr_t where;
    *base = 0;
    if (!code)
        return 0;
    int err = vmspace_map(vm,
                          &(struct vmspace_map_args){
                              .length = PAGE_SIZE + code_size(),
                              .prot = ABI_PROT_NONE,
                              .flags = ABI_MAP_PRIVATE | ABI_MAP_ANONYMOUS | ABI_MAP_NORESERVE,
                          },
                          &where);
    if (!err)
        err = map_data(vm, where);
    if (!err)
        err = map_code(vm, where + PAGE_SIZE);
    if (!err)
        *base = where + PAGE_SIZE;
    return err;
}
