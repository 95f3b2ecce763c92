# tcp_input() asks for the connection by hash (net/tcp_table.c) in place of its walks of the active ones and those in TIME-WAIT.
s/^  for (pcb = tcp_active_pcbs; pcb != NULL; pcb = pcb->next) {/  for (pcb = LWIP_HOOK_TCP_FIND_PCB(tcphdr, 0); 0;) {/
s/^    for (pcb = tcp_tw_pcbs; pcb != NULL; pcb = pcb->next) {/    for (pcb = LWIP_HOOK_TCP_FIND_PCB(tcphdr, 1); pcb != NULL; pcb = NULL) {/
# A connection that arrives joins it.
s/^    TCP_REG_ACTIVE(npcb);/&\n    LWIP_HOOK_TCP_REGISTERED(npcb);\n    LWIP_HOOK_TCP_HALF_OPEN(npcb);/
# A connection begins with less than the widest window.
s/pcb->rcv_wnd = pcb->rcv_ann_wnd = TCP_WND;/pcb->rcv_wnd = pcb->rcv_ann_wnd = LWIP_TCP_WND_FIRST;/
# When a listener has too many handshakes the oldest makes room (net/tcp_listen.c).
s/^    if (pcb->accepts_pending >= pcb->backlog) {/    if (LWIP_HOOK_TCP_LISTEN_IS_FULL(pcb)) {/
# Duplicate acknowledgements are only counted, the window does not grow during recovery, and net/tcp_recovery.c ends it.
s/^              if (pcb->dupacks > 3) {/              if (0) {/
s/^              if (pcb->dupacks >= 3) {/              if (0) {/
s/^      if (pcb->flags & TF_INFR) {/      if (0) {/
s/^      if (pcb->state >= ESTABLISHED) {/      if (!(pcb->flags \& TF_INFR)) {/
s/^        \/\* Try to send something out. \*\//        LWIP_HOOK_TCP_DONE(pcb);\n        if (LWIP_HOOK_TCP_HAS_OUTPUT(pcb))/
# Slow start adds what was acknowledged, as Linux does: one acknowledgement may be for all packets of a large segment.
# (After a timeout it may be for what the peer had long before.)
s/^          increase = LWIP_MIN(acked, (tcpwnd_size_t)(num_seg \* pcb->mss));/          increase = num_seg == 1 ? LWIP_MIN(acked, pcb->mss) : acked;/
