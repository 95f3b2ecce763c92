# A connection keeps what net/tcp_recovery.c knows of it.
s/^struct tcp_pcb {/#include "net\/tcp_recovery.h"\n\n&/
s/^  u32_t rto_end;/&\n  struct tcp_recovery recovery;/
