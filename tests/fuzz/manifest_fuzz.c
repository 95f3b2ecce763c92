// SPDX-License-Identifier: MIT
/*
 * kernel/manifest.c on any bytes.
 */
#include "kernel/manifest.h"

#include <stdlib.h>
#include <string.h>

#include "kernel/mm/heap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct manifest manifest;
    const char *error = NULL;
    char *text = kmalloc(size + 1, ALLOC_WAIT);
    memcpy(text, data, size);
    if (manifest_parse(text, size, &manifest, &error)) {
        if (!error || !*error)
            abort();
        return 0;
    }
    if (!manifest.argv[0] || manifest.argv[manifest.argc] || manifest.envp[manifest.envc])
        abort();
    kfree(manifest.argv);
    kfree(manifest.text);
    return 0;
}
