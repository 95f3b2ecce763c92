# tcp_input() asks for the connection by hash (net/tcp_table.c) before it walks the list of all of them.
s/^  for (pcb = tcp_active_pcbs; pcb != NULL; pcb = pcb->next) {/  pcb = LWIP_HOOK_TCP_FIND_PCB(tcphdr); if (pcb == NULL)&/
