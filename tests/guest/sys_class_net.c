// SPDX-License-Identifier: MIT
/*
 * /sys/class/net: loopback's attributes, and what holds for every interface.
 */
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <sys/stat.h>

static bool read_attribute(const char *interface, const char *name, char *text, size_t size)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "/sys/class/net/%s/%s", interface, name);
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, size - 1);
    int err = errno;
    close(fd);
    errno = err;
    text[n > 0 ? n : 0] = '\0';
    return n >= 0;
}

static void show_loopback(void)
{
    static const char *const names[] = {
        "addr_assign_type", "addr_len",   "address",      "broadcast",
        "carrier",          "dev_id",     "dev_port",     "dormant",
        "duplex",           "flags",      "ifalias",      "ifindex",
        "iflink",           "link_mode",  "mtu",          "netdev_group",
        "operstate",        "speed",      "tx_queue_len", "type",
        "uevent",           "statistics", "subsystem",    "statistics/tx_errors",
    };
    char text[256];

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (read_attribute("lo", names[i], text, sizeof(text)))
            printf("%s: %s", names[i], text);
        else
            printf("%s: %s\n", names[i], strerror(errno));
    }
    ssize_t n = readlink("/sys/class/net/lo", text, sizeof(text) - 1);
    printf("lo -> %.*s\n", (int)n, text);
    NEED(realpath("/sys/class/net/lo/subsystem", text));
    printf("subsystem: %s\n", text);
    CHECK(access("/sys/class/net/lo/device", F_OK) < 0 && access("/sys/class/net/no", F_OK) < 0);
}

static void look_at(const char *name)
{
    char text[256], path[PATH_MAX];
    struct stat info;
    unsigned flags;

    snprintf(path, sizeof(path), "/sys/class/net/%s", name);
    CHECK(lstat(path, &info) == 0 && S_ISLNK(info.st_mode));
    CHECK(stat(path, &info) == 0 && S_ISDIR(info.st_mode));
    CHECK(read_attribute(name, "ifindex", text, sizeof(text)));
    CHECK((unsigned)atoi(text) == if_nametoindex(name) && if_nametoindex(name));
    CHECK(read_attribute(name, "flags", text, sizeof(text)) && sscanf(text, "%x", &flags) == 1);
    CHECK(read_attribute(name, "mtu", text, sizeof(text)) && atoi(text) > 0);
    CHECK(read_attribute(name, "address", text, sizeof(text)) && strlen(text) == 18);
    CHECK(read_attribute(name, "statistics/rx_packets", text, sizeof(text)));
    CHECK(text[0] >= '0' && text[0] <= '9');
}

int main(void)
{
    DIR *dir = opendir("/sys/class/net");
    const struct dirent *entry;
    bool has_loopback = false;

    NEED(dir);
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        CHECK(entry->d_type == DT_LNK);
        has_loopback |= !strcmp(entry->d_name, "lo");
        look_at(entry->d_name);
    }
    CHECK(has_loopback);
    closedir(dir);
    show_loopback();
    /* Root may not open for writing what nobody can write. */
    CHECK_ERRNO(open("/sys/class/net/lo/address", O_WRONLY), EACCES);
    CHECK_ERRNO(open("/proc/sys/kernel/ostype", O_WRONLY), EACCES);
    CHECK_ERRNO(open("/proc/sys/kernel/seccomp/actions_avail", O_RDWR), EACCES);
    CHECK_ERRNO(open("/proc/net/dev", O_WRONLY), EACCES);
    int fd = open("/proc/version", O_WRONLY);
    CHECK(fd >= 0);
    CHECK_ERRNO(write(fd, "x", 1), EIO);
    return check_end();
}
