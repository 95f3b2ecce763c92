# Before the first unsent segment is compared with the window, net/tcp_gso.c may cut it to what fits.
s/^  if (lwip_ntohl(seg->tcphdr->seqno) - pcb->lastack + seg->len > wnd) {/  LWIP_HOOK_TCP_FIT(pcb, seg, wnd, netif);\n&/
s/^         \(lwip_ntohl(seg->tcphdr->seqno) - pcb->lastack + seg->len <= wnd\)) {/         (LWIP_HOOK_TCP_FIT(pcb, seg, wnd, netif), \1)) {/
# The congestion window, and when a segment was sent, are net/tcp_recovery.c's and net/tcp_rto.c's.
s/^  wnd = LWIP_MIN(pcb->snd_wnd, pcb->cwnd);/  wnd = LWIP_MIN(pcb->snd_wnd, LWIP_HOOK_TCP_WINDOW(pcb));/
s/^  if (pcb->rttest == 0) {/  if (LWIP_HOOK_TCP_SENT(pcb, seg), 0) {/
