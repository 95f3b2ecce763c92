# A connection that this machine makes joins the table of net/tcp_table.c.
s/^    TCP_REG_ACTIVE(pcb);/&\n    LWIP_HOOK_TCP_REGISTERED(pcb);/
# TIME-WAIT is shorter than LAST-ACK, which has the same limit.
/stayed long enough in TIME-WAIT/,/{/s/2 \* TCP_MSL/LWIP_TIME_WAIT_MS/
