# A connection that this machine makes joins the table of net/tcp_table.c.
s/^    TCP_REG_ACTIVE(pcb);/&\n    LWIP_HOOK_TCP_REGISTERED(pcb);/
# TIME-WAIT is shorter than LAST-ACK, which has the same limit.
/stayed long enough in TIME-WAIT/,/{/s/2 \* TCP_MSL/LWIP_TIME_WAIT_MS/
# Segments may be longer than the MSS, and so may a window that the first of them does not fit into.
s/tcp_split_unsent_seg(pcb, (u16_t)pcb->snd_wnd)/tcp_split_unsent_seg(pcb, (u16_t)LWIP_MIN(pcb->snd_wnd, pcb->mss))/
# Retransmission is net/tcp_recovery.c's, and so is the timer.
s/^        if (pcb->rtime >= pcb->rto) {/        if (0) {/
s/pcb->state == SYN_SENT \&\& pcb->nrtx >= TCP_SYNMAXRTX/tcp_recovery_is_over(pcb)/
s/} else if (pcb->nrtx >= TCP_MAXRTX) {/} else if (0) {/
# Whether a connection is there already says the table.
/^tcp_connect(/,/^}/s/^    if (ip_get_option(pcb, SOF_REUSEADDR)) {/    if (LWIP_HOOK_TCP_IS_TAKEN(pcb)) {\n      return ERR_USE;\n    }\n    if (0) {/
# TCP_USER_TIMEOUT.
s/pcb->persist_probe >= TCP_MAXRTX/tcp_recovery_probes_failed(pcb)/
s/(pcb->keep_idle + TCP_KEEP_DUR(pcb))/tcp_recovery_keep_limit(pcb)/
