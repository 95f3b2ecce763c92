// SPDX-License-Identifier: MIT
/*
 * The manifest's parser.  The file comes from the boot archive, so from whoever made the image:
 * it is checked as a whole, and what it says wrongly is answered with a sentence.
 *
 * Two passes: the first counts what there may be many of, the second fills the arrays: one for args and envs, and
 * that of the mounts behind it.
 */
#include "kernel/manifest.h"

#include <string.h>

#include "abi/errno.h"
#include "kernel/mm/heap.h"
#include "lib/format.h"

static char unknown_key[64]; /* the sentence that names one; the manifest is read once */

struct record {
    char *key;
    char *value;
};

/* Splits the record at text; its length with the NUL, or 0 if there is no '='. */
static size_t record_split(char *text, struct record *record)
{
    size_t len = strlen(text);
    char *equals = memchr(text, '=', len);
    if (!equals)
        return 0;
    record->key = text;
    record->value = equals + 1;
    *equals = '\0';
    return len + 1;
}

static bool number_parse(const char **text, uint64_t max, uint64_t *number)
{
    const char *at = *text;
    uint64_t value = 0;
    if (*at < '0' || *at > '9')
        return false;
    for (; *at >= '0' && *at <= '9'; at++) {
        unsigned digit = (unsigned)(*at - '0');
        if (value > (max - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *number = value;
    *text = at;
    return true;
}

/* Numbers with a separator between them and nothing behind: how many, 0 if it is not so. */
static unsigned numbers_parse(const char *text, char separator, uint64_t max, unsigned room,
                              uint64_t *numbers)
{
    for (unsigned count = 0; count < room; text++) {
        if (!number_parse(&text, max, &numbers[count++]))
            return 0;
        if (!*text)
            return count;
        if (*text != separator)
            return 0;
    }
    return 0;
}

static const char *user_parse(struct manifest *manifest, const char *value)
{
    uint64_t ids[2];
    if (numbers_parse(value, ':', UINT32_MAX, 2, ids) != 2)
        return "the manifest's user is not of the form uid:gid";
    manifest->uid = (uint32_t)ids[0];
    manifest->gid = (uint32_t)ids[1];
    return NULL;
}

static const char *groups_parse(struct manifest *manifest, const char *value)
{
    uint64_t ids[NGROUPS];
    manifest->ngroups = numbers_parse(value, ',', UINT32_MAX, NGROUPS, ids);
    if (!manifest->ngroups)
        return "the manifest's groups are not at most 32 numbers with commas";
    for (unsigned i = 0; i < manifest->ngroups; i++)
        manifest->groups[i] = (uint32_t)ids[i];
    return NULL;
}

static const char *rlimit_parse(struct manifest *manifest, const char *value)
{
    uint64_t words[3];
    if (numbers_parse(value, ':', UINT64_MAX, 3, words) != 3 || words[0] >= RLIMIT_COUNT ||
        words[1] > words[2])
        return "the manifest's rlimit is not of the form resource:soft:hard";
    manifest->limits[words[0]] = (struct abi_rlimit){ words[1], words[2] };
    manifest->limits_given |= 1U << words[0];
    return NULL;
}

static const char *stdio_parse(struct manifest *manifest, const char *value)
{
    static const char *const names[] = {
        [STDIO_STREAM] = "stream", [STDIO_TTY] = "tty", [STDIO_NULL] = "null"
    };
    for (unsigned fd = 0; fd < 3; fd++) {
        size_t len = strcspn(value, ",");
        unsigned kind = 0;
        while (kind < ARRAY_SIZE(names) &&
               (strlen(names[kind]) != len || strncmp(names[kind], value, len) != 0))
            kind++;
        if (kind == ARRAY_SIZE(names))
            return "the manifest's stdio is not three of tty, stream and null";
        manifest->stdio[fd] = (enum manifest_stdio)kind;
        value += len;
        if (*value != (fd < 2 ? ',' : '\0'))
            return "the manifest's stdio is not three of tty, stream and null";
        value++;
    }
    return NULL;
}

/* Cuts the next of the fields that a colon ends; NULL: there is no colon. */
static char *field_cut(char **text)
{
    char *field = *text;
    char *colon = strchr(*text, ':');
    if (!colon)
        return NULL;
    *colon = '\0';
    *text = colon + 1;
    return field;
}

static const char *mount_parse(struct manifest *manifest, char *value)
{
    struct manifest_mount *mount = &manifest->mounts[manifest->nmounts++];
    char *access = NULL;
    mount->type = field_cut(&value);
    if (mount->type)
        mount->source = field_cut(&value);
    if (mount->source)
        access = field_cut(&value);
    mount->place = value;
    size_t len = access ? strcspn(access, ",") : 0;
    mount->options = access && access[len] ? access + len + 1 : "";
    if (access)
        access[len] = '\0';
    mount->is_read_only = access && strcmp(access, "ro") == 0;
    if (!access || *mount->place != '/' || (!mount->is_read_only && strcmp(access, "rw") != 0))
        return "the manifest's mount is not of the form type:source:ro|rw[,options]:/place";
    return NULL;
}

static const char *record_apply(struct manifest *manifest, const struct record *record)
{
    const char *key = record->key;
    char *value = record->value;
    if (strcmp(key, "program") == 0)
        manifest->program = value;
    else if (strcmp(key, "arg") == 0)
        manifest->argv[manifest->argc++] = value;
    else if (strcmp(key, "env") == 0)
        manifest->envp[manifest->envc++] = value;
    else if (strcmp(key, "cwd") == 0)
        manifest->cwd = value;
    else if (strcmp(key, "hostname") == 0)
        manifest->hostname = value;
    else if (strcmp(key, "net") == 0)
        manifest->net = value;
    else if (strcmp(key, "trace") == 0)
        manifest->trace = value;
    else if (strcmp(key, "user") == 0)
        return user_parse(manifest, value);
    else if (strcmp(key, "groups") == 0)
        return groups_parse(manifest, value);
    else if (strcmp(key, "rlimit") == 0)
        return rlimit_parse(manifest, value);
    else if (strcmp(key, "stdio") == 0)
        return stdio_parse(manifest, value);
    else if (strcmp(key, "mount") == 0)
        return mount_parse(manifest, value);
    else {
        format_string(unknown_key, sizeof(unknown_key),
                      "the manifest has an unknown key, \"%.24s\"", key);
        return unknown_key;
    }
    return NULL;
}

static const char *records_count(char *text, size_t len, size_t *nargs, size_t *nenvs,
                                 size_t *nmounts)
{
    static const char first[] = "format=1";
    if (len < sizeof(first) || text[len - 1] != '\0')
        return "the manifest is truncated";
    if (strcmp(text, first) != 0)
        return "the manifest is not of format 1: the tool and the kernel do not belong together";
    for (size_t at = 0; at < len; at += strlen(text + at) + 1) {
        if (strncmp(text + at, "arg=", 4) == 0)
            ++*nargs;
        else if (strncmp(text + at, "env=", 4) == 0)
            ++*nenvs;
        else if (strncmp(text + at, "mount=", 6) == 0)
            ++*nmounts;
    }
    return NULL;
}

static const char *records_apply(struct manifest *manifest, char *text, size_t len)
{
    size_t at = strlen(text) + 1; /* behind "format=1" */
    while (at < len) {
        struct record record;
        size_t used = record_split(text + at, &record);
        if (!used)
            return "the manifest has a record without \"=\"";
        const char *error = record_apply(manifest, &record);
        if (error)
            return error;
        at += used;
    }
    if (!manifest->program || !*manifest->program)
        return "the manifest names no program";
    return NULL;
}

int manifest_parse(char *text, size_t len, struct manifest *manifest, const char **error)
{
    size_t nargs = 0, nenvs = 0, nmounts = 0;
    memset(manifest, 0, sizeof(*manifest));
    *error = records_count(text, len, &nargs, &nenvs, &nmounts);
    if (*error)
        goto free_text;

    size_t nstrings = nargs + nenvs + 3;
    const char **strings =
        kzalloc(nstrings * sizeof(*strings) + nmounts * sizeof(*manifest->mounts), ALLOC_WAIT);
    if (!strings) {
        *error = "there is not enough memory for the manifest";
        kfree(text);
        return -ENOMEM;
    }
    manifest->text = text;
    manifest->argv = strings;
    manifest->envp = strings + nargs + 2;
    manifest->mounts = (void *)(strings + nstrings);
    manifest->cwd = "/";
    manifest->hostname = "stout";
    *error = records_apply(manifest, text, len);
    if (*error)
        goto free_strings;
    if (manifest->argc == 0)
        manifest->argv[manifest->argc++] = manifest->program;
    return 0;

free_strings:
    kfree(strings);
    memset(manifest, 0, sizeof(*manifest));
free_text:
    kfree(text);
    return -EINVAL;
}
