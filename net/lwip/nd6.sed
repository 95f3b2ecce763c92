# An address that nobody answers for: who sent there hears of it.
/^nd6_tmr/,/^}/s/^        nd6_free_neighbor_cache_entry(i);/        LWIP_HOOK_UNRESOLVED(nd6_q_entry, neighbor_cache[i].q, neighbor_cache[i].netif);\n&/
