// SPDX-License-Identifier: MIT
/*
 * lib/elf_image.c on any bytes: what it accepts keeps what its header promises.
 */
#include "lib/elf_image.h"

#include <stdlib.h>

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_promises(const struct elf_image *image, size_t file_size)
{
    uint64_t last_end = 0;
    require(image->nsegments > 0 && image->nsegments <= ELF_SEGMENTS_MAX);
    for (unsigned i = 0; i < image->nsegments; i++) {
        const struct elf_segment *segment = &image->segment[i];
        require(segment->vaddr >= last_end);
        last_end = segment->vaddr + segment->memsz;
        require(last_end > segment->vaddr && last_end <= ELF_ADDRESS_MAX);
        require(segment->filesz <= segment->memsz);
        if (segment->filesz)
            require(segment->offset + segment->filesz <= file_size);
    }
    require(image->low <= image->segment[0].vaddr && image->high >= last_end);
    if (image->interpreter_size)
        require(image->interpreter_offset + image->interpreter_size <= file_size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct elf_image image;
    enum elf_problem problem = elf_image_parse_header(data, size, &image);
    if (!problem) {
        uint64_t at = image.phoff < size ? image.phoff : size;
        problem = elf_image_parse_segments(data + at, size - at, size, &image);
    }
    require(elf_problem_text(problem) != NULL);
    if (!problem)
        check_promises(&image, size);
    return 0;
}
