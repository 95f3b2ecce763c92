// SPDX-License-Identifier: MIT
/*
 * /proc/net/snmp, netstat, sockstat and sockstat6 (proc(5)): counters, each under its name, as netstat, ss and
 * monitoring agents read them.  What is not counted is not listed.
 *
 * lwIP counts (RFC 1213, "MIB2"); net/counts.h adds what happens beside it.  Its counters of UDP, and those of a socket
 * of UDP-Lite, are of both versions of IP together.
 */
#include "abi/inet.h"
#include "fs/text.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/stats.h"
#include "net/counts.h"
#include "net/net.h"
#include "net/proc_net.h"
#include "net/socket_list.h"
#include "net/tcp_memory.h"

struct column {
    const char *name;
    long long value;
};

/* Two lines: the names, and the numbers. */
static void show_group(struct text *text, const char *group, const struct column *columns, size_t n)
{
    text_printf(text, "%s:", group);
    for (size_t i = 0; i < n; i++)
        text_printf(text, " %s", columns[i].name);
    text_printf(text, "\n%s:", group);
    for (size_t i = 0; i < n; i++)
        text_printf(text, " %lld", columns[i].value);
    text_printf(text, "\n");
}

/* ---- snmp, netstat ------------------------------------------------------------------- */

static void show_ip(struct text *text, const struct stats_ *stats)
{
    const struct stats_mib2 *mib = &stats->mib2;
    const struct column columns[] = {
        { "Forwarding", 2 }, /* no */
        { "DefaultTTL", TCP_TTL },
        { "InReceives", mib->ipinreceives },
        { "InHdrErrors", mib->ipinhdrerrors },
        { "InAddrErrors", mib->ipinaddrerrors },
        { "ForwDatagrams", mib->ipforwdatagrams },
        { "InUnknownProtos", mib->ipinunknownprotos },
        { "InDiscards", mib->ipindiscards },
        { "InDelivers", mib->ipindelivers },
        { "OutRequests", mib->ipoutrequests },
        { "OutDiscards", mib->ipoutdiscards },
        { "OutNoRoutes", mib->ipoutnoroutes },
        { "ReasmReqds", mib->ipreasmreqds },
        { "ReasmOKs", mib->ipreasmoks },
        { "ReasmFails", mib->ipreasmfails },
        { "FragOKs", mib->ipfragoks },
        { "FragFails", mib->ipfragfails },
        { "FragCreates", stats->ip_frag.xmit },
    };
    show_group(text, "Ip", columns, ARRAY_SIZE(columns));
}

static void show_icmp(struct text *text, const struct stats_ *stats)
{
    const struct stats_mib2 *mib = &stats->mib2;
    const struct column columns[] = {
        { "InMsgs", mib->icmpinmsgs },
        { "InErrors", mib->icmpinerrors },
        { "InCsumErrors", stats->icmp.chkerr },
        { "InDestUnreachs", mib->icmpindestunreachs },
        { "InTimeExcds", mib->icmpintimeexcds },
        { "InParmProbs", mib->icmpinparmprobs },
        { "InSrcQuenchs", mib->icmpinsrcquenchs },
        { "InRedirects", mib->icmpinredirects },
        { "InEchos", mib->icmpinechos },
        { "InEchoReps", mib->icmpinechoreps },
        { "InTimestamps", mib->icmpintimestamps },
        { "InTimestampReps", mib->icmpintimestampreps },
        { "InAddrMasks", mib->icmpinaddrmasks },
        { "InAddrMaskReps", mib->icmpinaddrmaskreps },
        { "OutMsgs", mib->icmpoutmsgs },
        { "OutErrors", mib->icmpouterrors },
        { "OutDestUnreachs", mib->icmpoutdestunreachs },
        { "OutTimeExcds", mib->icmpouttimeexcds },
        { "OutEchos", mib->icmpoutechos },
        { "OutEchoReps", mib->icmpoutechoreps },
    };
    show_group(text, "Icmp", columns, ARRAY_SIZE(columns));
}

static void show_tcp(struct text *text, const struct stats_ *stats, const struct net_counts *counts,
                     unsigned nestablished)
{
    const struct stats_mib2 *mib = &stats->mib2;
    /* lwIP's number is of segments, and has those that are sent again. */
    uint32_t sent = stats->tcp.xmit + counts->tcp_pieces - counts->tcp_resent;
    const struct column columns[] = {
        { "RtoAlgorithm", 1 }, /* as Linux: "other" */
        { "RtoMin", 200 },
        { "RtoMax", 120000 },
        { "MaxConn", -1 }, /* no limit */
        { "ActiveOpens", mib->tcpactiveopens },
        { "PassiveOpens", mib->tcppassiveopens },
        { "CurrEstab", nestablished },
        { "InSegs", mib->tcpinsegs },
        { "OutSegs", sent },
        { "RetransSegs", counts->tcp_resent },
        { "InErrs", mib->tcpinerrs },
        { "OutRsts", mib->tcpoutrsts },
        { "InCsumErrors", stats->tcp.chkerr },
    };
    show_group(text, "Tcp", columns, ARRAY_SIZE(columns));
}

static void show_udp(struct text *text, const struct stats_ *stats, const struct net_counts *counts)
{
    const struct stats_mib2 *mib = &stats->mib2;
    const struct column columns[] = {
        /* One to a group may find no room in several sockets. */
        { "InDatagrams", mib->udpindatagrams - MIN(mib->udpindatagrams, counts->udp_no_room) },
        { "NoPorts", mib->udpnoports },
        { "InErrors", mib->udpinerrors + counts->udp_no_room },
        { "OutDatagrams", mib->udpoutdatagrams },
        { "RcvbufErrors", counts->udp_no_room },
        { "InCsumErrors", stats->udp.chkerr },
    };
    show_group(text, "Udp", columns, ARRAY_SIZE(columns));
}

struct tcp_states {
    unsigned nestablished, ntime_wait, norphans;
    unsigned ninuse[2]; /* of IPv4, of IPv6: all but those in TIME-WAIT */
};

static void count_states(struct tcp_states *states)
{
    *states = (struct tcp_states){ 0 };
    assert_held(&net_lock);
    for (const struct tcp_pcb_listen *pcb = tcp_listen_pcbs.listen_pcbs; pcb; pcb = pcb->next)
        states->ninuse[!IP_IS_V4_VAL(pcb->local_ip)]++;
    for (const struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = pcb->next) {
        states->nestablished += pcb->state == ESTABLISHED || pcb->state == CLOSE_WAIT;
        states->norphans += !pcb->callback_arg;
        states->ninuse[!IP_IS_V4_VAL(pcb->local_ip)]++;
    }
    for (const struct tcp_pcb *pcb = tcp_tw_pcbs; pcb; pcb = pcb->next)
        states->ntime_wait++;
}

int proc_net_show_snmp(struct text *text)
{
    struct tcp_states states;

    net_begin();
    count_states(&states);
    struct stats_ stats = lwip_stats;
    struct net_counts counts = net_counts;
    net_end();
    show_ip(text, &stats);
    show_icmp(text, &stats);
    show_tcp(text, &stats, &counts, states.nestablished);
    show_udp(text, &stats, &counts);
    return 0;
}

int proc_net_show_netstat(struct text *text)
{
    const struct column columns[] = {
        { "SyncookiesSent", 0 }, /* there are none */
        { "SyncookiesRecv", 0 },
        { "SyncookiesFailed", 0 },
        { "TCPTimeouts", READ_ONCE(net_counts.tcp_timeouts) },
        { "TCPSynRetrans", READ_ONCE(net_counts.tcp_syns) },
    };
    show_group(text, "TcpExt", columns, ARRAY_SIZE(columns));
    return 0;
}

/* ---- sockstat -------------------------------------------------------------------------- */

int proc_net_show_sockstat(struct text *text)
{
    struct tcp_states states;

    net_begin();
    count_states(&states);
    size_t npages = (tcp_memory_total() + PAGE_SIZE - 1) / PAGE_SIZE;
    net_end();
    text_printf(text, "sockets: used %u\n", READ_ONCE(net_counts.sockets));
    text_printf(text, "TCP: inuse %u orphan %u tw %u alloc %u mem %zu\n", states.ninuse[false],
                states.norphans, states.ntime_wait,
                READ_ONCE(net_counts.tcp_sockets) + states.norphans, npages);
    text_printf(text, "UDP: inuse %u\nUDPLITE: inuse %u\nRAW: inuse %u\n",
                socket_list_count(ABI_IPPROTO_UDP, false),
                socket_list_count(ABI_IPPROTO_UDPLITE, false),
                socket_list_count(ABI_IPPROTO_RAW, false));
    return 0;
}

int proc_net_show_sockstat6(struct text *text)
{
    struct tcp_states states;

    net_begin();
    count_states(&states);
    net_end();
    text_printf(text, "TCP6: inuse %u\nUDP6: inuse %u\nUDPLITE6: inuse %u\nRAW6: inuse %u\n",
                states.ninuse[true], socket_list_count(ABI_IPPROTO_UDP, true),
                socket_list_count(ABI_IPPROTO_UDPLITE, true),
                socket_list_count(ABI_IPPROTO_RAW, true));
    return 0;
}
