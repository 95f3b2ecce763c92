# An address that nobody answers for: after three questions, as Linux, and who sent there hears of it.
s/^#define ARP_MAXPENDING 5/#define ARP_MAXPENDING 3/
/^etharp_tmr/,/^}/s/^        etharp_free_entry(i);/        LWIP_HOOK_UNRESOLVED(etharp_q_entry, state == ETHARP_STATE_PENDING ? arp_table[i].q : NULL, arp_table[i].netif);\n&/
