// SPDX-License-Identifier: MIT
/*
 * UDP-Lite.
 *
 * lwIP keeps UDP and UDP-Lite in one list, so a port number belongs to one of the two (Linux has a table for
 * each), and a packet of the other protocol is dropped here.  The checksum is looked at here too: no
 * device does it, though lwIP is told that they do UDP's.  On loopback there is none.
 */
#include "net/udplite.h"

#include <string.h>

#include "abi/errno.h"
#include "abi/inet.h"
#include "lwip/inet_chksum.h"
#include "lwip/ip.h"
#include "lwip/udp.h"
#include "net/net.h"
#include "net/socket.h"

/* The bytes that the checksum covers; 0: it is wrong. */
static unsigned covered(struct pbuf *p)
{
    if (pbuf_add_header(p, UDP_HLEN) != 0)
        return 0;
    const struct udp_hdr *header = p->payload;
    unsigned coverage = lwip_ntohs(header->len);
    if (coverage == 0)
        coverage = p->tot_len;
    bool is_right = coverage >= UDP_HLEN && coverage <= p->tot_len;
    if (is_right && (ip_current_input_netif()->flags & NETIF_FLAG_ETHARP))
        is_right = ip_chksum_pseudo_partial(p, IP_PROTO_UDPLITE, p->tot_len, (uint16_t)coverage,
                                            ip_current_src_addr(), ip_current_dest_addr()) == 0;
    pbuf_remove_header(p, UDP_HLEN);
    return is_right ? coverage : 0;
}

bool udplite_accepts(const struct udplite *lite, struct pbuf *p)
{
    assert_held(&net_lock);
    if (lite->is_lite != (ip_current_header_proto() == IP_PROTO_UDPLITE))
        return false;
    if (!lite->is_lite)
        return true;
    unsigned coverage = covered(p);
    bool is_whole = coverage == (unsigned)p->tot_len + UDP_HLEN;
    if (coverage == 0)
        return false;
    if (!lite->checks_coverage || is_whole)
        return true;
    return lite->min_coverage != 0 && coverage >= lite->min_coverage;
}

int udplite_set_option(struct udplite *lite, int name, const void *value, unsigned len)
{
    int number;

    if (!lite->is_lite || (name != ABI_UDPLITE_SEND_CSCOV && name != ABI_UDPLITE_RECV_CSCOV))
        return -ENOPROTOOPT;
    if (len < sizeof(number))
        return -EINVAL;
    memcpy(&number, value, sizeof(number));
    if (number != 0 && number < UDP_HLEN)
        number = UDP_HLEN; /* RFC 3828, 3.1: the header at least */
    number = MIN(number, UINT16_MAX);
    net_begin();
    if (name == ABI_UDPLITE_SEND_CSCOV) {
        lite->coverage = (uint16_t)number;
    } else {
        lite->min_coverage = (uint16_t)number;
        lite->checks_coverage = true;
    }
    net_end();
    return 0;
}

int udplite_get_option(const struct udplite *lite, int name, void *value, unsigned *len)
{
    if (!lite->is_lite || (name != ABI_UDPLITE_SEND_CSCOV && name != ABI_UDPLITE_RECV_CSCOV))
        return -ENOPROTOOPT;
    return option_store_int(value, len,
                            name == ABI_UDPLITE_SEND_CSCOV ? lite->coverage : lite->min_coverage);
}
