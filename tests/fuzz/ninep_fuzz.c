// SPDX-License-Identifier: MIT
/*
 * lib/ninep.c on answers of any bytes: the first byte picks how much of them is the head, the second the request.
 */
#include "lib/ninep.h"

#include <stdlib.h>
#include <string.h>

#include "abi/errno.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_error(int err)
{
    if (err > 0 || err < -133)
        abort();
}

static void read_names(const struct ninep_reader *from)
{
    struct ninep_reader reader = *from;
    struct ninep_dirent entry;
    size_t left = reader.left;
    int more;

    while ((more = ninep_get_dirent(&reader, &entry)) > 0) {
        if (entry.len == 0 || entry.len > NINEP_NAME_MAX || memchr(entry.name, '/', entry.len))
            abort();
        if (reader.left >= left)
            abort(); /* it would not end */
        left = reader.left;
    }
    check_error(more);
}

static void read_fields(const struct ninep_reader *from)
{
    struct ninep_reader reader = *from;
    struct ninep_stat stat;
    size_t len;

    int err = ninep_get_stat(&reader, &stat);
    check_error(err);
    if (!err && (stat.blksize == 0 || stat.size > INT64_MAX || stat.mtime.tv_nsec >= 1000000000))
        abort();
    reader = *from;
    const char *text = ninep_get_string(&reader, &len);
    if (text ? len > from->left : len != 0)
        abort();
    volatile char last = text && len ? text[len - 1] : 0;
    (void)last;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ninep_reader reader;

    if (size < 2)
        return 0;
    size_t nhead = MIN((size_t)data[0], size - 2);
    uint8_t *head = malloc(nhead + 1); /* of its own size: ASan sees what goes behind it */
    memcpy(head, data + 2, nhead);
    int err = ninep_answer(head, nhead, size - 2, data[1], 1, &reader);
    check_error(err);
    if (!err) {
        if (reader.left > nhead)
            abort();
        read_fields(&reader);
        read_names(&reader);
    }
    reader = (struct ninep_reader){ .at = head, .left = nhead };
    read_names(&reader);
    read_fields(&reader);
    free(head);
    return 0;
}
