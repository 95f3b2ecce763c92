# Before the first unsent segment is compared with the window, net/tcp_gso.c may cut it to what fits.
s/^  if (lwip_ntohl(seg->tcphdr->seqno) - pcb->lastack + seg->len > wnd) {/  LWIP_HOOK_TCP_FIT(pcb, seg, wnd, netif);\n&/
s/^         \(lwip_ntohl(seg->tcphdr->seqno) - pcb->lastack + seg->len <= wnd\)) {/         (LWIP_HOOK_TCP_FIT(pcb, seg, wnd, netif), \1)) {/
