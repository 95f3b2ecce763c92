// SPDX-License-Identifier: MIT
/*
 * Users, host names and interfaces by the C library: passwd, getaddrinfo, getifaddrs.
 * test: variants=dynamic,musl,folder
 */
#include "check.h"

#include <arpa/inet.h>
#include <grp.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/socket.h>

int main(void)
{
    struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *found = NULL;
    struct ifaddrs *interfaces = NULL;
    bool loopback = false;

    struct passwd *root = getpwnam("root");
    CHECK(root && root->pw_uid == 0 && !strcmp(root->pw_dir, "/root"));
    CHECK(getpwuid(0) && !getpwnam("no-such-user") && getgrgid(0));
    CHECK(!getaddrinfo("localhost", "http", &hints, &found) && found);
    struct sockaddr_in *address = (void *)found->ai_addr;
    CHECK(address->sin_addr.s_addr == htonl(INADDR_LOOPBACK) && address->sin_port == htons(80));
    freeaddrinfo(found);
    hints.ai_flags = AI_NUMERICHOST;
    CHECK(getaddrinfo("name", NULL, &hints, &found) == EAI_NONAME);
    CHECK(!getaddrinfo("1.2.3.4", "5", &hints, &found));
    freeaddrinfo(found);
    CHECK(!getifaddrs(&interfaces));
    for (struct ifaddrs *at = interfaces; at; at = at->ifa_next)
        if (!strcmp(at->ifa_name, "lo") && at->ifa_addr && at->ifa_addr->sa_family == AF_INET)
            loopback = ((struct sockaddr_in *)(void *)at->ifa_addr)->sin_addr.s_addr ==
                           htonl(INADDR_LOOPBACK) &&
                       (at->ifa_flags & IFF_UP);
    CHECK(loopback && if_nametoindex("lo") == 1);
    char name[100];
    CHECK(!gethostname(name, sizeof name) && name[0]);
    return check_end();
}
